"""`python -m service audit`: seal and verify the audit trail."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from service.cli.services import open_services
from service.config import settings


@click.group()
def audit() -> None:
    """Seal and verify the audit trail."""


@audit.command("seal")
def seal() -> None:
    """Seal all events now, and print the newest seal as JSON; keep it outside the database."""
    with open_services(settings.load(), limit_statements=False) as services:
        services.audit_seals.seal()
        newest = services.audit_seals.newest()
    if newest is None:
        raise click.ClickException("The audit trail has no events yet.")
    click.echo(json.dumps(asdict(newest)))


@audit.command("verify")
@click.option(
    "--seal",
    "kept",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the output of `audit seal`: shows also that nobody computed the whole trail again.",
)
def verify(kept: Path | None) -> None:
    """Check all sealed events; exit with 1 and name the first that is broken."""
    try:
        exported = None if kept is None else json.loads(kept.read_text(encoding="utf-8"))
    except ValueError as error:
        raise click.ClickException(f"{kept} is no JSON: {error}") from error
    with open_services(settings.load(), limit_statements=False) as services:
        verdict = services.audit_seals.verify(exported)
    click.echo(f"Events in order: {verdict.n_events}")
    if verdict.fault:
        raise click.ClickException(verdict.fault)
