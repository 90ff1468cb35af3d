"""`python -m ml rebuild-graph`: rebuild an artifact's CPU graph as a new version."""

from __future__ import annotations

from pathlib import Path

import click

from ml.artifact.graph_rebuild import rebuild
from ml.corpus.dataset import read_examples
from service.nlp.artifacts import artifact as artifacts


@click.command("rebuild-graph")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("version")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="Labelled sentences, JSON lines.",
)
def rebuild_graph(old: Path, version: str, data: Path) -> None:
    """Rebuild the CPU graph of the artifact in the folder OLD as VERSION, with the same weights.

    Takes over an improved onnx_graph.py without a training. Weights, tokenizer, calibration and golden
    sentences stay the same byte for byte. The new version is written beside the old one only if its graph
    gives the golden scores, and its decisions on the labelled sentences do not differ significantly.
    """
    artifact = rebuild(old, version, read_examples(data, artifacts.load(old).taxonomy))
    points = artifact.manifest.metrics["regraphed"]["f1_differs_points"]
    levels = ", ".join(
        f"{value:+.2f} ({level.removesuffix('_f1')})" for level, value in points.items()
    )
    print(f"{artifact.path}: F1 differs from {old.name} by {levels} points.")
