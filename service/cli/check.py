"""`python -m service check`: whether this installation can start and scan."""

from __future__ import annotations

import click

from service.config import settings


@click.command("check")
def check() -> None:
    """Check settings, disk, database, model and the servers that are called; exit with 1 if one fails.

    Changes nothing but to create DATA_DIR, with an empty database if that is the embedded one.
    """
    from service.domain.installation_check import check_installation  # noqa: PLC0415 - loads the model's libraries

    config = settings.load()  # a fault in the settings ends the command with its message
    click.echo("ok    settings: valid")
    n_failed = 0
    for result in check_installation(config):
        n_failed += not result.is_ok
        click.echo(f"{'ok   ' if result.is_ok else 'FAIL '} {result.name}: {result.text}")
    if n_failed:
        raise SystemExit(1)
