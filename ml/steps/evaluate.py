"""`python -m ml evaluate`: measure the exported artifact, or any other analyzer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import click

from ml.artifact.manifest_writer import manifest_fields, manifest_metrics, write_manifest
from ml.artifact.model_card import write_card
from ml.artifact.run_evaluation import evaluate_run
from ml.baselines.comparison import baseline_figures
from ml.baselines.open_analyzer import open_analyzer, taxonomy_of
from ml.commands import ListOptions
from ml.corpus.dataset import Example, load_dataset, read_sets
from ml.corpus.dataset_card import summary
from ml.corpus.kinds import read_kinds
from ml.evaluation import markdown_report, quantization_loss
from ml.evaluation.evaluation import evaluate as measure
from ml.evaluation.evaluation import write_figures, write_report
from ml.evaluation.resampling import Measure
from ml.settings import Settings, load
from ml.training.checkpoints import model_path, starting_models
from service.config import settings as service_config
from service.config.settings import ROOT
from service.nlp.artifacts.operating_points import SENSITIVITIES, Sensitivity

_FILE = click.Path(path_type=Path)
_KINDS = ROOT / "ml/data/kinds.toml"
_CONFIG = ROOT / "ml/configs/riskscan-fast.toml"


@click.command(cls=ListOptions)
@click.argument("config", type=_FILE, required=False)
@click.option("--analyzer", metavar="SPEC", help="Analyzer to measure instead of a run.")
@click.option(
    "--data",
    type=_FILE,
    multiple=True,
    metavar="FILE...",
    help="Its labelled sentences; each file is a set with figures of its own.",
)
@click.option(
    "--kinds", type=_FILE, default=_KINDS, help="File that assigns a kind to each document."
)
@click.option("--out", type=_FILE, help="Folder of the report.")
@click.option(
    "--sensitivity",
    "sensitivities",
    multiple=True,
    type=click.Choice(SENSITIVITIES),
    help="Decide at this sensitivity; may be repeated.",
)
@click.option("--train", type=_FILE, default=_CONFIG, help="Configuration a baseline learns from.")
@click.option(
    "--baselines",
    is_flag=True,
    help="With CONFIG, measure the baselines, too: knn embeds every training sentence once.",
)
def evaluate(
    config: Path | None,
    *,
    analyzer: str | None,
    data: tuple[Path, ...],
    kinds: Path,
    out: Path | None,
    sensitivities: tuple[Sensitivity, ...],
    train: Path,
    baselines: bool,
) -> None:
    """Measure the exported artifact, or any other analyzer, the way the service calls it.

    With CONFIG, measures the run's artifact on its dev sentences, writes the report into the run's folder,
    and the figures into the artifact's manifest and model card. The artifact stays unchanged if its decisions
    differ from those of the run's float32 weights.

    With --analyzer and --data, measures anything else: SPEC is an artifact's folder, the http:// address of
    a service, llm, tfidf, knn or keywords.

    The report: evaluation.json, evaluation.md, predictions.npz and drawings. It holds no sentence.
    """
    if config is not None and analyzer is None and not data:
        run(load(config), baselines=baselines)
    elif config is None and analyzer is not None and data:
        taxonomy, assigned = taxonomy_of(analyzer, train), read_kinds(kinds)
        examples = read_sets(data, taxonomy, kinds=assigned)
        evaluate_spec(analyzer, examples, out=out, sensitivities=sensitivities, train=train)
    else:
        raise click.UsageError("Name a configuration file, or both --analyzer and --data.")


def run(settings: Settings, *, baselines: bool = False) -> None:
    """Evaluate the run, write the report, and put the figures into the artifact.

    Without `baselines` the report says that they were not measured.

    Raises:
        FidelityError: the artifact decides significantly differently from its float32 weights.
    """
    dataset = load_dataset(settings.data)
    evaluation, predictions = evaluate_run(settings, dataset.dev)
    run_dir, folder = settings.run_dir, settings.artifact_dir
    write_report(run_dir, evaluation, predictions)
    if points := evaluation["float32_difference_points"]:
        measured = {k: Measure(**m) for k, m in points.items()}
        quantization_loss.check(measured, weights=model_path(run_dir))
    evaluation["baselines"] = (
        baseline_figures(settings, dataset, predictions) if baselines else None
    )
    write_figures(run_dir, evaluation)
    fields = manifest_fields(folder) | {"metrics": manifest_metrics(evaluation)}
    write_card(folder, fields, evaluation, summary(dataset), starting_models(run_dir))
    write_manifest(folder, fields)
    print(markdown_report.report(evaluation))


def evaluate_spec(
    spec: str,
    examples: Sequence[Example],
    *,
    out: Path | None,
    sensitivities: Sequence[Sensitivity],
    train: Path,
) -> None:
    """Evaluate the analyzer that `spec` names, and write the report."""
    config = service_config.load()
    folder = out or ROOT / "runs/evaluations" / re.sub(r"\W+", "-", spec).strip("-")
    analyzer = open_analyzer(spec, config=config, train=train, unseen=examples)
    try:
        evaluation, predictions = measure(
            analyzer, examples, sensitivities=sensitivities, timeout_s=config.ai_timeout_s
        )
    finally:
        analyzer.close()
    write_report(folder, evaluation, predictions)
    print(f"{markdown_report.report(evaluation)}\nWritten into {folder}.")
