"""`python -m service files`: the uploaded files in DATA_DIR."""

from __future__ import annotations

import click

from service.cli.services import open_services
from service.config import settings


@click.group()
def files() -> None:
    """Manage uploaded files."""


@files.command("verify")
@click.option(
    "--repair",
    is_flag=True,
    help="Delete what cannot be used: temporary files, bytes without a row, and rows whose bytes are lost.",
)
def verify(*, repair: bool) -> None:
    """Compare the bytes on disk with the database; exit with 1 if faults remain."""
    from service.domain import batch_bytes, originals  # noqa: PLC0415 - loads the database's libraries
    from service.domain.audit import Actor  # noqa: PLC0415
    from service.domain.files.files import FOLDER  # noqa: PLC0415
    from service.domain.files.verification import FileRows, Verification  # noqa: PLC0415

    config = settings.load()
    kinds = (
        (FOLDER, FileRows()),
        (originals.FOLDER, originals.OriginalRows()),
        (batch_bytes.FOLDER, batch_bytes.BatchRows()),
    )
    n_faults, actor = 0, Actor.current_operator()
    with open_services(config, limit_statements=False) as services:
        for name, rows in kinds:
            folder = config.data_dir / name
            checks = Verification(services.transactions, folder, rows, repair=repair, actor=actor)
            for finding in checks.run():
                n_faults += 1
                click.echo(f"{finding.fault}: {finding.name} (user {finding.user_id}, {name})")
    if not n_faults:
        click.echo(
            f"The files, originals and documents of batches in {config.data_dir} agree with the database."
        )
    elif repair:
        click.echo(f"Mended: {n_faults}.")
    else:
        click.echo(f"Found: {n_faults}. Back up DATA_DIR and the database, then use --repair.")
        raise SystemExit(1)
