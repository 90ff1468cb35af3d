"""`python -m ml compare`: compare two evaluations of the same sentences."""

from __future__ import annotations

from pathlib import Path

import click

from ml.evaluation.paired_comparison import compare as compare_predictions
from ml.evaluation.paired_comparison import table, verdict
from ml.evaluation.predictions import PREDICTIONS_FILE, read_predictions


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--sensitivity",
    default="balanced",
    show_default=True,
    help="Decisions to compare: balanced, recall, precision or nested.",
)
def compare(a: Path, b: Path, sensitivity: str) -> None:
    """Say which of two evaluations is better, and whether the difference is significant.

    A and B are evaluation.json of two runs over the same sentences. Reads the predictions.npz beside each;
    neither holds a sentence.
    """
    ours, theirs = (read_predictions(path.parent / PREDICTIONS_FILE) for path in (a, b))
    differences = compare_predictions(ours, theirs, sensitivity=sensitivity)
    names = (f"a ({ours.analyzer})", f"b ({theirs.analyzer})")
    n_documents = len(set(ours.docs))
    print(f"{len(ours.docs)} sentences of {n_documents} documents, decisions: {sensitivity}.\n")
    print(f"{table(differences)}\n\n{verdict(differences['mean_f1'], *names)}")
