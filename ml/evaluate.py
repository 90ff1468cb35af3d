"""Measure the artifact through the Analyzer that serves.

`python -m ml.evaluate ml/configs/riskscan-minilm.toml`

Writes <run>/evaluation.json and <run>/evaluation.md, then the figures into the artifact's manifest and
its model card; the artifact stays as it was when it decides otherwise than the run's float32 weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file

from ml import fidelity
from ml.baseline import baseline_logits
from ml.calibrate import calibrate, cross_fitted_hits, probabilities
from ml.card import comparison_table, write_card
from ml.dataset import Dataset, load_dataset, summary, targets
from ml.metrics import (
    any_risk,
    average_precision,
    by_type,
    calibration_error,
    count,
    f1,
    f1_measures,
)
from ml.refine import refined_path
from ml.seal import seal, unsealed
from ml.settings import Settings, run_step
from service.nlp import artifact as artifacts
from service.nlp.encoder import EncoderConfig, RiskEncoder
from service.nlp.local import LocalAnalyzer
from service.nlp.taxonomy import RISK_TYPES

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


def report(scores: Floats, hits: Bools, y: Floats, docs: Sequence[str]) -> dict[str, Any]:
    """Return every figure of one model: F1 values with intervals at `hits`, and again cross-fitted.

    `scores` and `y` are float32 (n, n_risk_types), `hits` the decisions at the model's threshold.
    """
    crossed = cross_fitted_hits(scores, y, docs)
    return {
        "at_threshold": {k: asdict(m) for k, m in f1_measures(hits, y, docs).items()},
        "cross_fitted": {k: asdict(m) for k, m in f1_measures(crossed, y, docs).items()},
        "risk_average_precision": average_precision(scores.max(axis=1), any_risk(y > 0)[:, 0]),
        "calibration_error": calibration_error(scores, y),
    }


def per_type(hits: Bools, y: Floats) -> dict[str, dict[str, float]]:
    """Return how often each risk type occurs, and its F1."""
    counts = count(by_type(hits), y > 0).sum(axis=0)
    support = y.sum(axis=0)
    return {
        r: {"sentences": int(support[k]), "f1": round(float(f1(counts[k])), 3)}
        for k, r in enumerate(RISK_TYPES)
    }


def evaluate(settings: Settings, dataset: Dataset) -> dict[str, Any]:
    """Score the dev sentences with the artifact, with the weights it was made of, and the baseline.

    `float32_difference_points` is None where the run's weights are not at hand.

    Raises:
        ArtifactError: the artifact is missing or fails its proof.
    """
    y, docs = targets(dataset.dev), [e.doc for e in dataset.dev]
    n_threads = settings.train.n_threads
    shipped = LocalAnalyzer.open(settings.artifact_dir, device="cpu", n_threads=n_threads)
    scores, hits = _scored(shipped, dataset)
    difference = None
    if refined_path(settings.run_dir).is_file():
        _, trained = _scored(open_trained(settings), dataset)
        difference = fidelity.differences(hits, trained, y)
    logits = baseline_logits(dataset)
    calibration = calibrate(logits, y)
    plain = probabilities(logits, calibration.temperature)
    return {
        "split": {"name": "dev", "sentences": len(docs), "documents": len(set(docs))},
        "model": report(scores, hits, y, docs),
        "baseline": report(plain, plain >= calibration.threshold, y, docs),
        "float32_difference_points": difference,
        "risk_types": per_type(hits, y),
    }


def open_trained(settings: Settings) -> LocalAnalyzer:
    """Return the analyzer of the run's float32 weights: all but the weights are the artifact's."""
    torch.set_num_threads(settings.train.n_threads)
    model = RiskEncoder(EncoderConfig(n_labels=len(RISK_TYPES)))
    model.load_state_dict(load_file(refined_path(settings.run_dir)))
    return LocalAnalyzer(artifacts.load(settings.artifact_dir), fidelity.FloatEngine(model))


def _scored(analyzer: LocalAnalyzer, dataset: Dataset) -> tuple[Floats, Bools]:
    """Return the scores of the dev sentences and the decisions; closes the analyzer."""
    try:
        scores = analyzer.score([e.text for e in dataset.dev])
    finally:
        analyzer.close()
    return scores, scores >= analyzer.thresholds


def manifest_metrics(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return the part of the evaluation that the manifest keeps: value and 95 % interval of each F1."""

    def rounded(block: dict[str, dict[str, float]]) -> dict[str, list[float]]:
        return {k: [round(m[key], 4) for key in ("value", "low", "high")] for k, m in block.items()}

    model, points = evaluation["model"], evaluation["float32_difference_points"]
    difference = {k: round(v, 2) for k, v in points.items()} if points else None
    return {
        "split": evaluation["split"],
        "interval": "95 %, bootstrap over documents",
        "at_threshold": rounded(model["at_threshold"]),
        "cross_fitted": rounded(model["cross_fitted"]),
        "risk_average_precision": round(model["risk_average_precision"], 4),
        "calibration_error": round(model["calibration_error"], 4),
        "float32_difference_points": difference,
    }


def main(settings: Settings) -> None:
    """Evaluate, write the report, and put the figures into the artifact.

    Raises:
        FidelityError: the artifact decides otherwise than the weights it was made of.
    """
    dataset = load_dataset(settings.data)
    evaluation = evaluate(settings, dataset)
    run, folder = settings.run_dir, settings.artifact_dir
    run.mkdir(parents=True, exist_ok=True)
    (run / "evaluation.json").write_text(json.dumps(evaluation, indent=1) + "\n", encoding="utf-8")
    (run / "evaluation.md").write_text(comparison_table(evaluation) + "\n", encoding="utf-8")
    if points := evaluation["float32_difference_points"]:
        fidelity.check(points, weights=refined_path(run))
    fields = unsealed(folder) | {"metrics": manifest_metrics(evaluation)}
    write_card(folder, fields, evaluation, summary(dataset))
    seal(folder, fields)
    print(comparison_table(evaluation))


if __name__ == "__main__":
    run_step(main)
