"""`python -m service users`: list, create, change, disable and delete accounts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from db.queries import users as queries
from db.tables import Role, User
from service.cli.messages import error_message
from service.cli.services import open_services
from service.config import settings
from service.config.database_address import redact
from service.config.settings import Config
from service.domain.accounts import user_admin
from service.domain.audit import Actor
from service.domain.services import Services

_ROLE = click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.USER.value,
    help="See docs/roles.md.",
)


@click.group()
def users() -> None:
    """Manage accounts."""


@users.command("create")
@click.argument("email")
@_ROLE
@click.option("--admin", "shortcut", flag_value=Role.ADMIN, help="The same as --role admin.")
@click.option(
    "--reviewer", "shortcut", flag_value=Role.REVIEWER, help="The same as --role reviewer."
)
def create_user(email: str, role: str, shortcut: str | None) -> None:
    """Create an account; prompts for the password, or reads it from a pipe."""
    config = settings.load()
    password = _new_password()
    with open_services(config) as services:
        user = services.accounts.register(
            email,
            password,
            role=Role(shortcut or role),
            actor=Actor.current_operator(),
        )
    _report(config, f"Created {user.role} {user.email}")


@users.command("invite")
@click.argument("email")
@_ROLE
def invite(email: str, role: str) -> None:
    """Create an account and print the path of the page where its owner chooses a password."""
    config, actor = settings.load(), Actor.current_operator()
    with open_services(config) as services:
        user, link = services.password_links.invite(email, role=Role(role), actor=actor)
    _report(config, f"Invited {user.role} {user.email}")
    click.echo(
        f"{link.path}\nSend it after the service's address; it expires {link.expires_at:%F %R} UTC."
    )


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each account.")
def list_users(*, as_json: bool) -> None:
    """List all accounts with their role and state."""
    with open_services(settings.load()) as services:
        accounts = services.transactions.read(queries.list_users)
    if as_json:
        for user in accounts:
            click.echo(json.dumps(_as_json(user), ensure_ascii=False))
    else:
        Console().print(_user_table(accounts))


@users.command("set-role")
@click.argument("email")
@click.argument("role", type=click.Choice([role.value for role in Role]))
def set_role(email: str, role: str) -> None:
    """Set an account's role; docs/roles.md lists what each may do."""
    change = partial(user_admin.set_role, role=Role(role))
    _change(email, change, f"has the role {role}")


@users.command("disable")
@click.argument("email")
def disable(email: str) -> None:
    """Disable an account; its log-ins and API keys end at once, its scans stay."""
    _change(email, user_admin.disable, "is disabled")


@users.command("enable")
@click.argument("email")
def enable(email: str) -> None:
    """Enable a disabled account, so that it can log in again."""
    _change(email, user_admin.enable, "is enabled")


@users.command("delete")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Delete without asking.")
def delete(email: str, *, yes: bool) -> None:
    """Delete an account with its scans, documents, files, keys and settings, for good."""
    config = settings.load()
    if not yes:
        click.confirm(f"Delete {email} and all that it owns", abort=True, err=True)
    with open_services(config, limit_statements=False) as services:
        user = services.account_deletion.delete(
            _id_of(services, email), actor=Actor.current_operator()
        )
    _report(config, f"{user.email} is deleted")


@users.command("export")
@click.argument("email")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The ZIP archive to write, with mode 0600.",
)
def export(email: str, out: Path) -> None:
    """Write everything that is stored about an account to a ZIP archive."""
    config, actor = settings.load(), Actor.current_operator()
    with open_services(config, limit_statements=False) as services:
        try:
            services.user_data.write_file(_id_of(services, email), out, actor=actor)
        except OSError as error:
            raise click.ClickException(f"{out}: {error_message(error)}") from error
    click.echo(
        f"Wrote {out} from {redact(config.database_url)}, and recorded it in the audit trail."
    )


@users.command("reset-password")
@click.argument("email")
def reset_password(email: str) -> None:
    """Set a new password, from a prompt or a pipe; the account's log-ins and API keys end."""
    config = settings.load()
    password = _new_password()
    with open_services(config) as services:
        user = services.accounts.reset_password(
            _id_of(services, email), password, actor=Actor.current_operator()
        )
    _report(config, f"{user.email} has a new password")


def _change(email: str, change: Callable[..., User], state: str) -> None:
    config = settings.load()
    with open_services(config) as services:
        user_id = _id_of(services, email)
        user = services.transactions.run(change, user_id, actor=Actor.current_operator())
    _report(config, f"{user.email} {state}")


def _id_of(services: Services, email: str) -> UUID:
    return services.transactions.read(user_admin.id_of, email)


def _report(config: Config, change: str) -> None:
    click.echo(f"{change} in {redact(config.database_url)}.")


def _user_table(accounts: Sequence[User]) -> Table:
    table = Table("Role", "State", "Created", Column("E-mail address", overflow="fold"))
    for user in accounts:
        table.add_row(user.role, user.state, f"{user.created_at:%Y-%m-%d}", escape(user.email))
    return table


def _as_json(user: User) -> dict[str, Any]:
    return {
        "id": str(user.id),
        "email": user.email,
        "role": user.role,
        "state": user.state,
        "created_at": user.created_at.isoformat(),
        "updated_at": user.changed_at.isoformat(),
        "disabled_at": user.disabled_at.isoformat() if user.disabled_at else None,
    }


def _new_password() -> str:
    """Return the password: typed twice on a terminal, or the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password
