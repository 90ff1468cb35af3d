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
    from service.domain.audit import Actor  # noqa: PLC0415 - loads the database's libraries
    from service.domain.files.files import FOLDER  # noqa: PLC0415
    from service.domain.files.verification import Verification  # noqa: PLC0415

    config = settings.load()
    folder = config.data_dir / FOLDER
    n_faults = 0
    with open_services(config, limit_statements=False) as services:
        verification = Verification(
            services.transactions, folder, repair=repair, actor=Actor.current_operator()
        )
        for finding in verification.run():
            n_faults += 1
            click.echo(f"{finding.fault}: {finding.name} (user {finding.user_id})")
    if not n_faults:
        click.echo(f"The files in {folder} agree with the database.")
    elif repair:
        click.echo(f"Mended: {n_faults}.")
    else:
        click.echo(f"Found: {n_faults}. Back up DATA_DIR and the database, then use --repair.")
        raise SystemExit(1)
