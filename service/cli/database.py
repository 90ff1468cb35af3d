"""`python -m service db`: the database's schema, and orphaned rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from service.cli.services import open_services
from service.config import settings
from service.config.database_address import redact

if TYPE_CHECKING:
    from db.queries.orphans import Orphans


@click.group()
def db() -> None:
    """Manage the database."""


@db.command("upgrade")
def upgrade_db() -> None:
    """Upgrade the schema to the newest revision."""
    from service.domain.database_upgrade import upgrade_database  # noqa: PLC0415 - loads the database's libraries

    config = settings.load()
    revision = upgrade_database(config)
    click.echo(f"The schema of {redact(config.database_url)} is at revision {revision}.")


@db.command("orphans")
@click.option("--remove", is_flag=True, help="Delete these rows; this cannot be undone.")
def orphans(*, remove: bool) -> None:
    """List rows whose owner no longer exists, such as scans of a deleted account."""
    from db.queries.orphans import find_orphans  # noqa: PLC0415
    from service.domain.audit import Actor  # noqa: PLC0415
    from service.domain.orphans import remove_orphans  # noqa: PLC0415

    config = settings.load()
    database = redact(config.database_url)
    with open_services(config, limit_statements=False) as services:
        tables = services.transactions.read(find_orphans)
        for table in tables:
            click.echo(_orphans_line(table))
        if not tables:
            click.echo(f"Every row in {database} has an owner.")
        elif remove:
            actor = Actor.current_operator()
            n_removed = services.transactions.run(remove_orphans, actor=actor)
            counts = ", ".join(f"{n} of {name}" for name, n in n_removed.items())
            click.echo(f"Removed from {database}: {counts}.")
        else:
            click.echo("Back the database up, then delete them with --remove.")


def _orphans_line(table: Orphans) -> str:
    line = f"{table.table}: {table.n} without a row in {table.owner}"
    if not table.owner_ids:
        return line
    more = ", ..." if len(table.owner_ids) < table.n else ""
    return f"{line} ({table.column} {', '.join(map(str, table.owner_ids))}{more})"
