"""`python -m ml make-adapter`: write the artifact of a run as an adapter of its base."""

from __future__ import annotations

from pathlib import Path

import click

from ml.artifact.adapter import TENSORS_FILE, Source
from ml.artifact.adapter_writer import write_adapter
from ml.artifact.manifest_writer import load_export
from ml.commands import command
from ml.settings import Settings, load
from ml.training.base import base_folder
from service.errors import ConfigError

_REQUIREMENTS = "requirements-mpnet.txt"
_FILE = click.Path(path_type=Path)


@click.command("make-adapter")
@click.argument("config", type=_FILE)
@click.argument("out", type=_FILE)
@click.option(
    "--requirements",
    default=_REQUIREMENTS,
    show_default=True,
    help="Packages that carry the base; empty: none do.",
)
def make_adapter(*, config: Path, out: Path, requirements: str) -> None:
    """Write the evaluated artifact of CONFIG as an adapter of its [base] into the new folder OUT.

    With [artifact] adapter_rank, `export` gave the artifact the weights that an adapter of this rank gives
    back. So calibration, golden sentences and figures are those of the model that `build-artifact` builds.
    """
    run(load(config), out, requirements=requirements)


def run(settings: Settings, out: Path, *, requirements: str) -> None:
    """Write the adapter.

    Raises:
        ConfigError: adapter_rank is 0, or as `write_adapter`.
        ArtifactError: the artifact was altered.
    """
    rank = settings.artifact.adapter_rank
    artifact, factors = load_export(settings.artifact_dir), settings.run_dir / TENSORS_FILE
    if not rank or not factors.is_file():
        raise ConfigError(
            f"{artifact.path} was not exported for an adapter: set [artifact] adapter_rank, such as 32, then "
            f"run `{command('ml', 'export', 'CONFIG')}` and the steps after it again."
        )
    base = base_folder(settings.base)
    source = Source(requirements=requirements, folder=base.resolve().name) if requirements else None
    write_adapter(artifact, factors, base, out, source, rank=rank)
    size = sum(path.stat().st_size for path in out.iterdir())
    build = command("ml", "build-artifact", out, "--base", base)
    print(f"{out}: {size:,} bytes. Next: {build}")
