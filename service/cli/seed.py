"""`python -m service seed`: a demo to look at."""

from __future__ import annotations

import shlex

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.cli.services import open_services
from service.config import settings
from service.config.database_address import redact

_PLACES = ("data_dir", "database_url", "host", "port", "model", "model_dir")
"""The settings that say where the demo is, and by which model and at which address it is served."""


@click.command("seed")
@click.option(
    "--password", help="The password of every account; without it each gets a random one."
)
@click.option("--force", is_flag=True, help="Also in production.")
def seed(*, password: str | None, force: bool) -> None:
    """Add a demo: accounts of every role, a team, documents, scans by the model, verdicts, courses.

    The passwords are printed once. Do not use it beside real data.
    """
    from service.domain.demo import Demo  # noqa: PLC0415 - loads the model's libraries

    config = settings.load()
    with open_services(config) as services:
        seeded = Demo(services).seed(password=password, force=force)
    table = Table("Role", "E-mail address", "Password")
    for user, secret in seeded.accounts:
        table.add_row(user.role, user.email, escape(secret))
    Console().print(table)
    counts = ", ".join(f"{n} {name}" for name, n in seeded.counts.items())
    click.echo(f"{redact(config.database_url)} has {counts}.")
    host = "localhost" if config.host in {"0.0.0.0", "127.0.0.1", "::"} else config.host  # noqa: S104 - compared, not bound
    click.echo(
        f"Start the service with `{_run_command(config)}`, and log in at http://{host}:{config.port}/login"
    )


def _run_command(config: settings.Config) -> str:
    """Return the command that serves the demo, with the settings that place it."""
    values = {name: shlex.quote(str(getattr(config, name))) for name in _PLACES}
    if redact(config.database_url) != config.database_url:
        values["database_url"] = "..."  # has a password, which stays off the screen
    words = [
        f"{name.upper()}={values[name]}" for name in _PLACES if name in config.model_fields_set
    ]
    return " ".join([*words, "make run"])
