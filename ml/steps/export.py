"""`python -m ml export`: turn the weights of a run into an artifact, or an artifact into another format."""

from __future__ import annotations

from pathlib import Path

import click

from ml.artifact.exporter import export as export_artifact
from ml.artifact.manifest_writer import load_export
from ml.commands import command
from ml.settings import Settings, load

FORMATS = ("transformers",)


@click.command()
@click.argument("source", metavar="CONFIG|ARTIFACT", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "target",
    nargs=2,
    type=(click.Choice(FORMATS), click.Path(path_type=Path)),
    metavar="FORMAT FOLDER",
    help="Write the calibrated artifact of CONFIG, or the folder ARTIFACT, into the new FOLDER. "
    "Format: transformers, which its text-classification pipeline opens.",
)
def export(source: Path, target: tuple[str, Path] | None) -> None:
    """Turn the weights of a run into an artifact, in the folder that [artifact] names.

    Writes every file of the artifact. The step `evaluate` adds the figures to the model card.
    """
    if target is None:
        run(load(source))
    else:
        convert(source, target[1])


def run(settings: Settings) -> None:
    """Export the run into the artifact's folder."""
    artifact = export_artifact(settings)
    size_mb = sum(p.stat().st_size for p in artifact.path.iterdir()) / 1e6
    calibrate = command("ml", "calibrate", "CONFIG")
    print(
        f"{artifact.path}: version {artifact.manifest.version}, {size_mb:.1f} MB. Next: {calibrate}"
    )


def convert(source: Path, folder: Path) -> None:
    """Write an artifact, or that of a configuration, for transformers.

    Raises:
        ConfigError: there is no artifact, or transformers has no class that computes the same.
        ArtifactError: the artifact was altered.
    """
    from ml.artifact.transformers_folder import write_transformers_folder  # noqa: PLC0415 - seconds to import

    artifact = load_export(source if source.is_dir() else load(source).artifact_dir)
    write_transformers_folder(artifact, folder)
    print(f'{folder}: open it with pipeline("text-classification", model={str(folder)!r}).')
