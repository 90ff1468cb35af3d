"""`python -m ml make-adapter`: write a fine-tuned model as an adapter of its base."""

from __future__ import annotations

from pathlib import Path

import click

from ml.artifact.adapter import Source
from ml.artifact.adapter_writer import Request, write_adapter
from ml.commands import command
from service.errors import ConfigError

_REQUIREMENTS = "requirements-mpnet.txt"
_FOLDER = click.Path(path_type=Path)


@click.command("make-adapter")
@click.argument("run_or_state", type=_FOLDER)
@click.argument("base", type=_FOLDER)
@click.argument("out", type=_FOLDER)
@click.option("--rank", type=click.IntRange(1), required=True, help="Rank of each matrix's change.")
@click.option("--artifact", type=_FOLDER, help="The calibrated artifact; default: RUN/model.")
@click.option(
    "--requirements",
    default=_REQUIREMENTS,
    show_default=True,
    help="Packages that carry the base; empty: none do.",
)
def make_adapter(
    *,
    run_or_state: Path,
    base: Path,
    out: Path,
    rank: int,
    artifact: Path | None,
    requirements: str,
) -> None:
    """Write the model of RUN_OR_STATE as an adapter of the encoder in the folder BASE, into the folder OUT.

    RUN_OR_STATE is a finished run, or a file of weights with the tensor names of an artifact, in float32. Its
    calibrated artifact gives everything but the weights: calibration, golden sentences, model card.
    """
    state = run_or_state / "model.safetensors" if run_or_state.is_dir() else run_or_state
    if artifact is None:
        artifact = run_or_state / "model"
    if not state.is_file():
        raise ConfigError(f"There is no {state}; name a finished run or a file of weights.")
    source = Source(requirements=requirements, folder=base.resolve().name) if requirements else None
    loss = write_adapter(Request(state, artifact, base, rank, source), out)
    print(
        f"{out}: {loss.n_bytes:,} bytes. Rank {rank} keeps {100 * loss.kept:.2f} % of the norm of the "
        f"changes, and {100 * loss.worst:.2f} % in {loss.worst_matrix}, the worst matrix. "
        f"Next: {command('ml', 'build-artifact', out, '--base', base)}"
    )
