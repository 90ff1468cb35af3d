"""`python -m service users`: create accounts."""

from __future__ import annotations

import sys

import click

from service import config as settings
from service.database_address import shown


@click.group()
def users() -> None:
    """Manage accounts."""


@users.command("create")
@click.argument("email")
@click.option("--admin", "role", flag_value="admin", help="Make the account an administrator's.")
@click.option("--reviewer", "role", flag_value="reviewer", help="Make the account a reviewer's.")
@click.option(
    "--user", "role", flag_value="user", default="user", help="A plain account (default)."
)
def create_user(email: str, role: str) -> None:
    """Create an account; the password is asked for, or read from standard input when piped."""
    from service.start import accounts_of  # noqa: PLC0415 - the database's libraries only here

    config = settings.load()
    password = _new_password()
    with accounts_of(config) as accounts:
        user = accounts.register(email, password, role=role)
    click.echo(f"Created {user.role} {user.email} in {shown(config.database_url)}.")


def _new_password() -> str:
    """Return the password typed twice on a terminal, or the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return typed
