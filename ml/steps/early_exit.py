"""`python -m ml early-exit`: let certainly harmless sentences leave an artifact's network half-way."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from ml.artifact.early_exit import add_exit
from ml.commands import ListOptions
from ml.corpus.dataset import Example, read_examples, read_pool
from ml.corpus.reading_order import by_document
from service.errors import ConfigError
from service.nlp.artifacts import artifact as artifacts

_FILES = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("early-exit", cls=ListOptions)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--train",
    type=_FILES,
    multiple=True,
    required=True,
    help="Sentences to learn the exit from, JSON lines of two documents or more; labels are not used.",
)
@click.option(
    "--dev",
    type=_FILES,
    multiple=True,
    required=True,
    help="Labelled sentences that no training saw, to measure the recall that is lost.",
)
@click.option(
    "--sentences", type=click.IntRange(min=1), default=32_000, help="Most sentences of --train."
)
def early_exit(
    folder: Path, train: tuple[Path, ...], dev: tuple[Path, ...], sentences: int
) -> None:
    """Give the calibrated artifact in FOLDER an exit after half of its layers.

    The weights stay as they are. Half of the documents of --train teach the exit which sentences are
    harmless, the others choose a threshold for each operating point. An operating point has no exit if that
    costs more than 0.5 points of recall on --dev.
    """
    taxonomy = artifacts.load(folder).taxonomy
    read = [e for path in train for e in read_pool(path, taxonomy, second={})[1]]
    examples = [e for path in dev for e in read_examples(path, taxonomy)]
    artifact = add_exit(folder, _whole_documents(read, sentences), examples)
    exit_ = artifact.manifest.early_exit
    for sensitivity, figures in (exit_.measured if exit_ else {}).items():
        shares = ", ".join(f"{share:.0%} of {name}" for name, share in figures["leave"].items())
        print(
            f"{sensitivity}: {shares} leave, {figures['recall_lost_points']} points of recall lost"
        )


def _whole_documents(examples: list[Example], most: int) -> list[Example]:
    """Return the sentences of random documents, at most `most`."""
    every = by_document(examples)
    chosen: list[Example] = []
    for k in np.random.default_rng(0).permutation(len(every)):
        if len(chosen) + len(every[k]) <= most:
            chosen += [examples[row] for row in sorted(every[k])]
    if len({e.doc for e in chosen}) < 2 <= len(every):
        least = sum(sorted(map(len, every))[:2])
        raise ConfigError(
            f"An exit takes two documents, and --sentences {most} holds fewer: give {least} or more."
        )
    return chosen
