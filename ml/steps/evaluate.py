"""Measure any Analyzer on labelled sentences, the way the service calls it.

`.venv-test/bin/python -m ml evaluate CONFIG` is the pipeline's last step: it measures the run's
artifact on its dev sentences beside all baselines, writes the report into the run's folder, and the
figures into the artifact's manifest and model card; the artifact stays unchanged if its
decisions differ from those of the run's float32 weights.

`.venv-test/bin/python -m ml evaluate --analyzer SPEC --data FILE.jsonl [--out DIR]` measures anything else:
SPEC is an artifact's folder, http://... of a service, llm, tfidf, knn or keywords.

The report: evaluation.json, evaluation.md, predictions.npz and drawings. It holds no sentence.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ml import commands
from ml.artifact.manifest_writer import exported, seal, unsealed
from ml.artifact.model_card import write_card
from ml.baselines.baselines import BASELINES, open_baseline
from ml.baselines.open_analyzer import open_analyzer
from ml.corpus.dataset import Dataset, Example, load_dataset, read_examples, summary, targets
from ml.corpus.reading_order import score_documents
from ml.evaluation import markdown_report, quantization_loss
from ml.evaluation.latency import latency
from ml.evaluation.metrics import f1_measures
from ml.evaluation.paired_comparison import paired_bootstrap
from ml.evaluation.perturbations import invariance
from ml.evaluation.plots import write_plots
from ml.evaluation.predictions import PREDICTIONS_FILE, Predictions
from ml.evaluation.resampling import Measure
from ml.evaluation.scoring import Judged, judge
from ml.evaluation.summary import figures, nested_hits
from ml.settings import Settings
from ml.settings import load as load_settings
from ml.training.checkpoints import model_path
from ml.training.pretrained import mean_model
from ml.training.tracking import write_json
from service.config import settings as service_config
from service.config.settings import ROOT
from service.errors import RiskscanError
from service.nlp.analyzers.base import Analyzer, SentenceScorer
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.arrays import Bools
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.operating_points import SENSITIVITIES, Sensitivity

NESTED = "nested"
"""Name of the decisions in predictions.npz whose thresholds were chosen on other documents."""
_CONFIG = ROOT / "ml/configs/riskscan-minilm.toml"


def evaluate(
    analyzer: Analyzer,
    examples: Sequence[Example],
    *,
    sensitivities: Sequence[Sensitivity] = (),
    timeout_s: float = 600.0,
) -> tuple[dict[str, Any], Predictions]:
    """Return every figure of an open analyzer, and what it said of each sentence."""
    judged = judge(analyzer, examples, sensitivities=sensitivities, timeout_s=timeout_s)
    nested = nested_hits(judged, examples)
    found = figures(judged, examples, nested)
    if isinstance(analyzer, SentenceScorer) and analyzer.has_probabilities:
        points = analyzer.operating_points
        found["risk_thresholds"] = {s: points[s].risk_threshold for s in found["sensitivities"]}
    if isinstance(analyzer, SentenceScorer) and analyzer.source != "llm":  # eight more times dear
        found["invariance"] = invariance(analyzer, examples, judged)
        found["alone"] = figures_alone(analyzer, examples)
    found["latency"] = latency(analyzer, [e.text for e in examples], bulk_s=judged.duration_s)
    return found, _predictions(judged, examples, nested)


def figures_alone(analyzer: SentenceScorer, examples: Sequence[Example]) -> dict[str, Any]:
    """Return F1 at the balanced point where each sentence is sent by itself, as a document of its own."""
    hits = analyzer.decide(analyzer.score([e.text for e in examples]))
    measured = f1_measures(hits, targets(examples), [e.doc for e in examples])
    return {key: asdict(m) for key, m in measured.items()}


def _predictions(
    judged: Judged, examples: Sequence[Example], nested: Sequence[Bools]
) -> Predictions:
    hits: dict[str, Bools] = {str(name): found for name, found in judged.hits.items()}
    if nested:
        hits[NESTED] = nested[0]
    return Predictions.of(
        judged.name,
        texts=[e.text for e in examples],
        docs=[e.doc for e in examples],
        y=targets(examples),
        scores=judged.scores,
        hits=hits,
    )


def evaluate_run(settings: Settings, dev: Sequence[Example]) -> tuple[dict[str, Any], Predictions]:
    """Measure the run's artifact on its dev sentences, and the cost of rounding its weights.

    `float32_difference_points`, value and interval, is None without the run's weights.

    Raises:
        ConfigError: nothing was exported.
        ArtifactError: the artifact fails its proof.
    """
    n_threads = settings.train.n_threads
    artifact = exported(settings.artifact_dir)
    analyzer = LocalAnalyzer.open(artifact.path, device="cpu", n_threads=n_threads)
    try:
        found, predictions = evaluate(analyzer, dev)
        points = rounding(settings, analyzer, dev)
    finally:
        analyzer.close()
    found["float32_difference_points"] = points and {k: asdict(m) for k, m in points.items()}
    return found, predictions


def baselines(
    settings: Settings, dataset: Dataset, model: Predictions
) -> dict[str, dict[str, Any]]:
    """Return the figures of each baseline on the dev sentences, and the lead of `model` over it."""
    return {
        name: _baseline(open_baseline(name, settings, dataset=dataset), dataset.dev, model)
        for name in BASELINES
    }


def _baseline(
    analyzer: SentenceScorer, dev: Sequence[Example], model: Predictions
) -> dict[str, Any]:
    """Return the figures that a comparison needs, and the model's lead over the baseline."""
    judged = judge(analyzer, dev)
    nested = nested_hits(judged, dev)
    found = figures(judged, dev, nested)
    decisive = nested[0] if nested else next(iter(judged.hits.values()))
    lead = paired_bootstrap(model.hits_at(NESTED), decisive, model.y, model.docs)
    kept = ("sensitivities", "nested", "ranking", "calibration")
    return {**{key: found[key] for key in kept}, "difference": asdict(lead["mean_f1"])}


def rounding(
    settings: Settings, shipped: LocalAnalyzer, dev: Sequence[Example]
) -> dict[str, Measure] | None:
    """Return what rounding costs in points of F1; None where the run's weights are not at hand."""
    if not model_path(settings.run_dir).is_file():
        return None
    trained = open_trained(settings)
    try:
        scores = score_documents(trained, dev)
    finally:
        trained.close()
    docs = [e.doc for e in dev]
    ours = score_documents(shipped, dev)
    return quantization_loss.differences(ours, scores, targets(dev), docs, shipped.decide)


def open_trained(settings: Settings) -> LocalAnalyzer:
    """Return the analyzer of the run's float32 weights: all but the weights are the artifact's."""
    torch.set_num_threads(settings.train.n_threads)
    model = mean_model([settings.train.run], dropout=0.0)
    return LocalAnalyzer(
        artifacts.load(settings.artifact_dir), quantization_loss.FloatEngine(model)
    )


def write_report(folder: Path, found: Mapping[str, Any], predictions: Predictions) -> None:
    """Write evaluation.json, evaluation.md, predictions.npz and the drawings into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_figures(folder, found)
    predictions.write(folder / PREDICTIONS_FILE)
    write_plots(folder, found, predictions)


def write_figures(folder: Path, found: Mapping[str, Any]) -> None:
    """Write evaluation.json and evaluation.md into `folder`."""
    write_json(folder / "evaluation.json", found)
    (folder / "evaluation.md").write_text(markdown_report.report(found), encoding="utf-8")


def manifest_metrics(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of the evaluation that the manifest keeps: [value, low, high] of each measure.

    `at_threshold` is the balanced operating point, `cross_fitted` has thresholds chosen on other
    documents.
    """

    def rounded(block: Mapping[str, Mapping[str, float]]) -> dict[str, list[float]]:
        return {k: [round(m[key], 4) for key in ("value", "low", "high")] for k, m in block.items()}

    points, scale = evaluation["float32_difference_points"], evaluation["calibration"]
    return {
        "split": {"name": "dev", **evaluation["data"]},
        "interval": "95 %, bootstrap over documents",
        "at_threshold": rounded(evaluation["sensitivities"]["balanced"]),
        "cross_fitted": rounded(evaluation["nested"]),
        "sensitivities": {s: rounded(m) for s, m in evaluation["sensitivities"].items()},
        "ranking": rounded(evaluation["ranking"]),
        "risk_calibration_error": round(scale["risk_error"], 4),
        "calibration_error": round(scale["pair_error"], 4),
        "float32_difference_points": points
        and {k: round(m["value"], 2) for k, m in points.items()},
    }


def main(settings: Settings) -> None:
    """Evaluate the run, write the report, and put the figures into the artifact.

    Raises:
        FidelityError: the artifact decides otherwise than the weights it was made of.
    """
    dataset = load_dataset(settings.data)
    found, predictions = evaluate_run(settings, dataset.dev)
    run, folder = settings.run_dir, settings.artifact_dir
    write_report(run, found, predictions)
    if points := found["float32_difference_points"]:
        measured = {k: Measure(**m) for k, m in points.items()}
        quantization_loss.check(measured, weights=model_path(run))
    found["baselines"] = baselines(settings, dataset, predictions)
    write_figures(run, found)
    fields = unsealed(folder) | {"metrics": manifest_metrics(found)}
    write_card(folder, fields, found, summary(dataset))
    seal(folder, fields)
    print(markdown_report.report(found))


def evaluate_spec(given: argparse.Namespace) -> None:
    """Evaluate what `--analyzer` names, and write the report."""
    config = service_config.load()
    examples = read_examples(given.data)
    out = given.out or ROOT / "runs/evaluations" / re.sub(r"\W+", "-", given.analyzer).strip("-")
    analyzer = open_analyzer(given.analyzer, config=config, train=given.train, unseen=examples)
    try:
        found, predictions = evaluate(
            analyzer,
            examples,
            sensitivities=given.sensitivity or (),
            timeout_s=config.ai_timeout_s,
        )
    finally:
        analyzer.close()
    write_report(out, found, predictions)
    print(f"{markdown_report.report(found)}\nWritten into {out}.")


def command(arguments: Sequence[str] | None = None) -> None:
    """Read the command line; an error ends in one sentence."""
    parser = argparse.ArgumentParser(
        prog=commands.command("ml", "evaluate"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", type=Path, nargs="?", help="configuration file of a run")
    parser.add_argument("--analyzer", metavar="SPEC", help="what to measure instead")
    parser.add_argument("--data", type=Path, help="its labelled sentences")
    parser.add_argument("--out", type=Path, help="folder of the report")
    parser.add_argument("--sensitivity", action="append", choices=SENSITIVITIES)
    parser.add_argument("--train", type=Path, default=_CONFIG, help="what a baseline learns from")
    given = parser.parse_args(arguments)
    if (given.config is None) != (given.analyzer is not None and given.data is not None):
        parser.error("name a configuration file, or both --analyzer and --data")
    try:
        if given.config is not None:
            main(load_settings(given.config))
        else:
            evaluate_spec(given)
    except RiskscanError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    command()
