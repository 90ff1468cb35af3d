"""`python -m service feedback`: export feedback for training."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from service.cli.messages import error_message
from service.cli.services import open_services
from service.config import settings
from service.config.database_address import redact
from service.domain.adjudication import Status


@click.group()
def feedback() -> None:
    """Export feedback for training."""


@feedback.command("export")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write, with mode 0600 (default: standard output).",
)
@click.option(
    "--since",
    type=click.DateTime(),
    help="Only sentences with feedback changed at or after this date or time (UTC).",
)
def export_feedback(out: Path | None, since: datetime | None) -> None:
    """Write reviewed sentences as JSON lines for ml; print their counts on standard error."""
    from service.domain.audit import Actor  # noqa: PLC0415 - loads the database's libraries

    actor = Actor.current_operator()
    since_utc = since.replace(tzinfo=UTC) if since else None
    config = settings.load()
    with open_services(config) as services:
        try:
            if out is None:
                counts = services.feedback_export.write(sys.stdout, actor=actor, since=since_utc)
            else:
                counts = services.feedback_export.write_file(out, actor=actor, since=since_utc)
        except OSError as error:
            click.echo(f"riskscan: {out or 'standard output'}: {error_message(error)}", err=True)
            sys.exit(1)
    for status in reversed(Status):
        omitted = " (omitted)" if status is Status.UNVERIFIED and counts[status] else ""
        click.echo(f"{status.name.lower()}: {counts[status]}{omitted}", err=True)
    database = redact(config.database_url)
    click.echo(f"Exported from {database}, and recorded in its audit trail.", err=True)
