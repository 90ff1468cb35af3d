"""`python -m ml export`: turn the weights of a run into an artifact."""

from __future__ import annotations

from pathlib import Path

import click

from ml.artifact.exporter import export as export_artifact
from ml.commands import command
from ml.settings import Settings, load


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
def export(config: Path) -> None:
    """Turn the weights of a run into an artifact, in the folder that [artifact] names.

    Writes every file of the artifact. The step `evaluate` adds the figures to the model card.
    """
    run(load(config))


def run(settings: Settings) -> None:
    """Export the run into the artifact's folder."""
    artifact = export_artifact(settings)
    size_mb = sum(p.stat().st_size for p in artifact.path.iterdir()) / 1e6
    calibrate = command("ml", "calibrate", "CONFIG")
    print(
        f"{artifact.path}: version {artifact.manifest.version}, {size_mb:.1f} MB. Next: {calibrate}"
    )
