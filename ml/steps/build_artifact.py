"""`python -m ml build-artifact`: build a whole artifact from an adapter and its base."""

from __future__ import annotations

from pathlib import Path

import click

from ml.commands import command
from service.config.settings import ROOT
from service.config.shipped_model import MODELS_CACHE
from service.errors import ConfigError

BASES = ROOT / "var/bases"
_FOLDER = click.Path(path_type=Path)


@click.command("build-artifact")
@click.argument("adapter", type=_FOLDER, required=False)
@click.option(
    "--base", type=_FOLDER, help="Folder of the base; default: downloaded into var/bases."
)
@click.option(
    "--models",
    type=_FOLDER,
    default=MODELS_CACHE,
    help="Folder that gets NAME/VERSION; default: models_cache.",
)
def build_artifact(adapter: Path | None, base: Path | None, models: Path) -> None:
    """Build the artifact of the folder ADAPTER; by default the model that models_cache/ACCURATE names.

    Verifies the base by its sha256, merges the adapter into it, writes integer weights with their graph and
    weights in bfloat16, and proves the golden sentences. Needs no torch.
    """
    try:
        from ml.artifact import adapter_build, base_download  # noqa: PLC0415 - optional packages
        from ml.artifact.adapter import accurate_adapter, read_adapter  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        install = command("pip", "install", "-r", "requirements-build.txt", "-c", "constraints.txt")
        raise ConfigError(f"The package {error.name} is not installed: run `{install}`.") from error
    adapter = adapter or accurate_adapter()
    artifact = adapter_build.built(adapter, models)
    if artifact is not None:
        print(f"{artifact.path} is built already, and verified.")
        return
    if base is None:
        base = base_download.fetch(read_adapter(adapter).base, BASES)
    artifact = adapter_build.build(adapter, base, models)
    size_mb = sum(path.stat().st_size for path in artifact.path.iterdir()) / 1e6
    print(f"{artifact.path}: {size_mb:.0f} MB; it reproduces its golden scores.")
