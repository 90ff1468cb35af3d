"""`python -m service users`: list, create, change, disable and delete accounts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from db.queries import users as queries
from db.tables import Role, User
from service.cli.services import open_services
from service.config import settings
from service.config.database_address import redact
from service.config.settings import Config
from service.domain.accounts import user_admin
from service.domain.audit import Actor


@click.group()
def users() -> None:
    """Manage accounts."""


@users.command("create")
@click.argument("email")
@click.option(
    "--admin", "role", type=Role, flag_value=Role.ADMIN, help="Give the account the role admin."
)
@click.option(
    "--reviewer",
    "role",
    type=Role,
    flag_value=Role.REVIEWER,
    help="Give the account the role reviewer.",
)
@click.option(
    "--user",
    "role",
    type=Role,
    flag_value=Role.USER,
    default=Role.USER,
    help="A plain account (default).",
)
def create_user(email: str, role: Role) -> None:
    """Create an account; prompts for the password, or reads it from a pipe."""
    config = settings.load()
    password = _new_password()
    with open_services(config) as services:
        user = services.accounts.register(
            email, password, role=role, actor=Actor.current_operator()
        )
    _report(config, f"Created {user.role} {user.email}")


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
    """Set an account's role: user, reviewer or admin."""
    change = partial(user_admin.set_role, email=email, role=Role(role))
    _change(change, f"has the role {role}")


@users.command("disable")
@click.argument("email")
def disable(email: str) -> None:
    """Disable an account; its log-ins and API keys end at once, its scans stay."""
    _change(partial(user_admin.disable, email=email), "is disabled")


@users.command("enable")
@click.argument("email")
def enable(email: str) -> None:
    """Enable a disabled account, so that it can log in again."""
    _change(partial(user_admin.enable, email=email), "is enabled")


@users.command("delete")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Delete without asking.")
def delete(email: str, *, yes: bool) -> None:
    """Delete an account with its scans, documents, files, keys and settings, for good."""
    config = settings.load()
    if not yes:
        click.confirm(f"Delete {email} and all that it owns", abort=True, err=True)
    with open_services(config, limit_statements=False) as services:
        user = services.account_deletion.delete(email, actor=Actor.current_operator())
    _report(config, f"{user.email} is deleted")


@users.command("reset-password")
@click.argument("email")
def reset_password(email: str) -> None:
    """Set a new password, from a prompt or a pipe; the account's log-ins and API keys end."""
    config = settings.load()
    password = _new_password()
    with open_services(config) as services:
        user = services.accounts.reset_password(email, password, actor=Actor.current_operator())
    _report(config, f"{user.email} has a new password")


def _change(change: Callable[..., User], state: str) -> None:
    config = settings.load()
    with open_services(config) as services:
        user = services.transactions.run(change, actor=Actor.current_operator())
    _report(config, f"{user.email} {state}")


def _report(config: Config, change: str) -> None:
    click.echo(f"{change} in {redact(config.database_url)}.")


def _user_table(accounts: Sequence[User]) -> Table:
    table = Table("Role", "State", "Created", Column("E-mail address", overflow="fold"))
    for user in accounts:
        state = "enabled" if user.disabled_at is None else "disabled"
        table.add_row(user.role, state, f"{user.created_at:%Y-%m-%d}", escape(user.email))
    return table


def _as_json(user: User) -> dict[str, Any]:
    return {
        "id": str(user.id),
        "email": user.email,
        "role": user.role,
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
