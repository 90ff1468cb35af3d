"""`python -m ml early-exit`: let certainly harmless sentences leave an artifact's network half-way."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from ml.artifact.early_exit import add_exit
from ml.commands import ListOptions
from ml.corpus.dataset import read_examples, read_pool
from service.nlp.artifacts import artifact as artifacts

_FILES = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("early-exit", cls=ListOptions)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--train",
    type=_FILES,
    multiple=True,
    required=True,
    help="Sentences to fit the heads on, JSON lines; labels are not used.",
)
@click.option(
    "--dev",
    type=_FILES,
    multiple=True,
    required=True,
    help="Labelled sentences to choose the thresholds on, which no training saw.",
)
@click.option(
    "--sentences", type=click.IntRange(min=1), default=12_000, help="Most sentences of --train."
)
def early_exit(
    folder: Path, train: tuple[Path, ...], dev: tuple[Path, ...], sentences: int
) -> None:
    """Give the calibrated artifact in FOLDER an exit after half of its layers.

    The weights stay as they are. A threshold for each operating point is chosen so that the recall lost on
    other documents is at most 0.5 points; an operating point where that fails has no exit.
    """
    taxonomy = artifacts.load(folder).taxonomy
    texts = [e.text for path in train for e in read_pool(path, taxonomy, second={})[1]]
    chosen = np.random.default_rng(0).permutation(len(texts))[:sentences]
    examples = [e for path in dev for e in read_examples(path, taxonomy)]
    artifact = add_exit(folder, [texts[k] for k in sorted(chosen)], examples)
    exit_ = artifact.manifest.early_exit
    for sensitivity, figures in (exit_.measured if exit_ else {}).items():
        shares = ", ".join(f"{share:.0%} of {name}" for name, share in figures["leave"].items())
        print(
            f"{sensitivity}: {shares} leave, {figures['recall_lost_points']} points of recall lost"
        )
