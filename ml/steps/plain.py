"""`python -m ml plain`: measure a model on the frozen plain sentences."""

from __future__ import annotations

from pathlib import Path

import click

from ml.evaluation.plain import measure_frozen_sets
from ml.evaluation.plain_report import plain_sentences
from ml.json_file import write_json
from service.config import settings as service_config
from service.nlp.analyzers.local import LocalAnalyzer

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("artifact", type=_FOLDER)
@click.option("--out", type=_FOLDER, help="Folder for plain.json and plain.md.")
def plain(artifact: Path, *, out: Path | None) -> None:
    """Measure the model in the folder ARTIFACT on the frozen sets of ml/data: recall, false alarms, and how
    many verdicts survive another form of the same sentence.

    `evaluate CONFIG` reports the same figures. Nothing may train on these sentences or choose thresholds on
    them.
    """  # noqa: D205 - click prints the first paragraph whole
    run(artifact, out=out)


def run(artifact: Path, *, out: Path | None = None) -> None:
    """Measure, print the table, and write it into `out` if given.

    Raises:
        ArtifactError: the folder is no artifact, or its model misses the golden scores.
    """
    config = service_config.load()
    analyzer = LocalAnalyzer.open(
        artifact, device=config.device, n_threads=config.inference_threads
    )
    try:
        sets = measure_frozen_sets(analyzer)
        title = f"# {analyzer.model_name} {analyzer.model_version}"
    finally:
        analyzer.close()
    text = f"{title}\n\n{plain_sentences(sets)}\n"
    if out is not None:
        write_json(out / "plain.json", sets)
        (out / "plain.md").write_text(text, encoding="utf-8")
    print(text)
