"""Measure any Analyzer on labelled sentences, the way the service calls it, and write the report.

The report: evaluation.json, evaluation.md, predictions.npz and drawings. It holds no sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ml.corpus.dataset import Example, targets
from ml.evaluation import markdown_report
from ml.evaluation.latency import latency
from ml.evaluation.metrics import f1_measures
from ml.evaluation.nested import NestedRun, nested_runs
from ml.evaluation.perturbations import invariance
from ml.evaluation.plots import write_plots
from ml.evaluation.predictions import PREDICTIONS_FILE, Predictions
from ml.evaluation.scoring import ExampleResults, analyze_examples
from ml.evaluation.summary import figures
from ml.json_file import write_json
from service.nlp.analyzers.base import Analyzer, SentenceScorer
from service.nlp.arrays import Bools
from service.nlp.artifacts.operating_points import Sensitivity

NESTED = "nested"
"""Name of the decisions in predictions.npz whose thresholds were chosen on other documents."""


def evaluate(
    analyzer: Analyzer,
    examples: Sequence[Example],
    *,
    sensitivities: Sequence[Sensitivity] = (),
    timeout_s: float = 600.0,
) -> tuple[dict[str, Any], Predictions]:
    """Return every figure of an open analyzer, and its predictions."""
    results = analyze_examples(analyzer, examples, sensitivities=sensitivities, timeout_s=timeout_s)
    nested = nested_runs(results.scores, examples, taxonomy=results.taxonomy)
    evaluation = figures(results, examples, nested)
    if isinstance(analyzer, SentenceScorer) and analyzer.has_probabilities:
        points = analyzer.operating_points
        evaluation["risk_thresholds"] = {
            s: points[s].risk_threshold for s in evaluation["sensitivities"]
        }
    if (
        isinstance(analyzer, SentenceScorer) and analyzer.source != "llm"
    ):  # eight more calls per document
        evaluation["invariance"] = invariance(analyzer, examples, results)
        evaluation["alone"] = single_sentence_f1(analyzer, examples)
    evaluation["latency"] = latency(analyzer, [e.text for e in examples], bulk_s=results.duration_s)
    return evaluation, _predictions(results, examples, nested)


def single_sentence_f1(analyzer: SentenceScorer, examples: Sequence[Example]) -> dict[str, Any]:
    """Return F1 at the balanced point with each sentence scored alone, as a document of its own."""
    taxonomy = analyzer.taxonomy
    hits = analyzer.decide(analyzer.score([e.text for e in examples]))
    measured = f1_measures(
        hits, targets(examples, taxonomy), [e.doc for e in examples], taxonomy=taxonomy
    )
    return {key: asdict(m) for key, m in measured.items()}


def _predictions(
    results: ExampleResults, examples: Sequence[Example], nested: Sequence[NestedRun]
) -> Predictions:
    hits: dict[str, Bools] = {str(name): decided for name, decided in results.hits.items()}
    if nested:
        hits[NESTED] = nested[0].hits["balanced"]
    return Predictions.from_texts(
        results.name,
        taxonomy=results.taxonomy,
        texts=[e.text for e in examples],
        docs=[e.doc for e in examples],
        y=targets(examples, results.taxonomy),
        scores=results.scores,
        hits=hits,
    )


def write_report(folder: Path, evaluation: Mapping[str, Any], predictions: Predictions) -> None:
    """Write evaluation.json, evaluation.md, predictions.npz and the drawings into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_figures(folder, evaluation)
    predictions.write(folder / PREDICTIONS_FILE)
    write_plots(folder, evaluation, predictions)


def write_figures(folder: Path, evaluation: Mapping[str, Any]) -> None:
    """Write evaluation.json and evaluation.md into `folder`."""
    write_json(folder / "evaluation.json", evaluation)
    (folder / "evaluation.md").write_text(markdown_report.report(evaluation), encoding="utf-8")
