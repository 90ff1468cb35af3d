"""`python -m ml STEP ...`: the steps from labelled sentences to a registered model.

Imports a step only when it runs: most of them need torch, which takes seconds to import.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

import click

from ml.commands import command
from service.errors import RiskscanError

STEPS = {
    "dataset": "Check the labelled sentences and write the dataset card.",
    "train": "Fine-tune the encoder.",
    "export": "Turn the weights of a run into an artifact.",
    "calibrate": "Fit temperature, bias and operating points of the artifact.",
    "early-exit": "Let harmless sentences leave the artifact's network half-way.",
    "evaluate": "Measure the exported artifact, or any other analyzer.",
    "register": "Register an artifact if it passes the promotion gate.",
    "plain": "Measure a model on the frozen plain sentences.",
    "compare": "Compare two evaluations of the same sentences.",
    "drift": "Test recent scans or sentences for drift.",
    "rebuild-graph": "Rebuild an artifact's CPU graph as a new version.",
    "make-adapter": "Write a fine-tuned model as an adapter of its base.",
    "build-artifact": "Build a whole artifact from an adapter and its base.",
}

_TRAINING_PACKAGES = {"torch", "transformers", "scipy", "sklearn", "onnxscript", "matplotlib"}
"""Packages that the serving environment does without."""
_ELSEWHERE = "This step needs {}, which this environment lacks. Use .venv-test: `make .venv-test/.installed`."


class _Steps(click.Group):
    """A group that imports a step when it is called, and reports our errors as one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        return list(STEPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in STEPS:
            return None
        # transformers reads this variable once, on import: with it, no code path asks the hub.
        os.environ["HF_HUB_OFFLINE"] = "1"
        name = cmd_name.replace("-", "_")
        step: click.Command = getattr(importlib.import_module(f"ml.steps.{name}"), name)
        return step

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Steps"):
            formatter.write_dl(list(STEPS.items()))

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        try:
            return super().invoke(ctx)
        except RiskscanError as error:
            click.echo(str(error), err=True)
            ctx.exit(1)
        except ModuleNotFoundError as error:
            if error.name not in _TRAINING_PACKAGES:
                raise
            click.echo(_ELSEWHERE.format(error.name), err=True)
            ctx.exit(1)


@click.group(cls=_Steps, subcommand_metavar="STEP [ARGS]...")
def main() -> None:
    """Train, measure and register models; the steps are listed in the order of a training."""


if __name__ == "__main__":
    main(prog_name=command("ml"))
