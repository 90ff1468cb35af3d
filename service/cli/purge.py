"""`python -m service purge`: deletes what is past retention."""

from __future__ import annotations

from dataclasses import asdict

import click

from service.cli.services import open_services
from service.config import settings
from service.config.database_address import redact


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--user", "email", metavar="EMAIL", help="Only what this account owns.")
def purge(*, dry_run: bool, email: str | None) -> None:
    """Delete what is older than RETENTION_DAYS, or than its owner's own shorter retention."""
    from service.domain.accounts import user_admin  # noqa: PLC0415 - loads the database's libraries
    from service.domain.audit import Actor  # noqa: PLC0415

    config = settings.load()
    with open_services(config, limit_statements=False) as services:
        user_id = services.transactions.read(user_admin.id_of, email) if email else None
        if dry_run:
            due = services.purge.due(user_id)
        else:
            due = services.purge.run(user_id, actor=Actor.current_operator())
    for name, n in asdict(due).items():
        click.echo(f"{name}: {n}")
    state = "Would be deleted from" if dry_run else "Deleted from"
    click.echo(f"{state} {redact(config.database_url)}.")
