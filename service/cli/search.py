"""`python -m service search`: what search knows of the stored scans and lessons."""

from __future__ import annotations

import click

from service.cli.services import open_services
from service.config import settings


@click.group()
def search() -> None:
    """Manage what search finds."""


@search.command("reindex")
def reindex() -> None:
    """Add the words and vectors that search lacks, such as those of another model. It may be interrupted."""
    with (
        open_services(settings.load(), limit_statements=False) as services,
        click.progressbar(length=1, label="Scans and lessons", show_pos=True) as bar,
    ):

        def show(n_seen: int, n_all: int) -> None:
            bar.length = n_all
            bar.update(n_seen - bar.pos)

        n_added = services.search_indexer.reindex(show)
        bar.update(bar.length - bar.pos if bar.length else 0)
    click.echo(f"Scans and lessons to which something was added: {n_added:,}.")
