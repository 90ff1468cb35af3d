"""`python -m service db`: the database's schema, and orphaned rows."""

from __future__ import annotations

import click

from service.cli.services import open_services
from service.config import settings
from service.config.database_address import shown


@click.group()
def db() -> None:
    """Manage the database."""


@db.command("upgrade")
def upgrade_db() -> None:
    """Bring the schema to the newest revision."""
    from service.domain.database_upgrade import upgrade_database  # noqa: PLC0415 - the database's libraries only here

    config = settings.load()
    revision = upgrade_database(config)
    click.echo(f"The schema of {shown(config.database_url)} is at revision {revision}.")


@db.command("orphans")
@click.option("--remove", is_flag=True, help="Delete these rows; this cannot be undone.")
def orphans(*, remove: bool) -> None:
    """List rows whose owner no longer exists, such as scans of a deleted account."""
    from db.queries.orphans import find_orphans  # noqa: PLC0415
    from service.domain.audit import Actor  # noqa: PLC0415
    from service.domain.orphans import remove_orphans  # noqa: PLC0415

    config = settings.load()
    with open_services(config, limit_statements=False) as services:
        transactions = services.transactions
        found = transactions.read(find_orphans)
        for table in found:
            ids = ", ".join(map(str, table.owner_ids))
            some = f" ({table.column} {ids}{', ...' if len(table.owner_ids) < table.n else ''})"
            click.echo(
                f"{table.table}: {table.n} without a row in {table.owner}{some if ids else ''}"
            )
        if not found:
            click.echo(f"Every row in {shown(config.database_url)} has an owner.")
        elif remove:
            removal = transactions.run(remove_orphans, actor=Actor.current_operator())
            removed = ", ".join(f"{n} of {name}" for name, n in removal.items())
            click.echo(f"Removed from {shown(config.database_url)}: {removed}.")
        else:
            click.echo("Back the database up, then delete them with --remove.")
