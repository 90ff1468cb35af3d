"""Measure the artifact through the Analyzer that serves.

`python -m ml.evaluate ml/configs/riskscan-minilm.toml`

Writes <run>/evaluation.json and <run>/evaluation.md, then the figures into the artifact's manifest and
its model card.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

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
from ml.seal import seal, unsealed
from ml.settings import Settings, run_step
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
    """Score the dev sentences with the artifact and with the baseline.

    Raises:
        ArtifactError: the artifact is missing or fails its proof.
    """
    y, docs = targets(dataset.dev), [e.doc for e in dataset.dev]
    analyzer = LocalAnalyzer.open(
        settings.artifact_dir, device="cpu", n_threads=settings.train.n_threads
    )
    try:
        scores = analyzer.score([e.text for e in dataset.dev])
        hits = scores >= analyzer.thresholds
    finally:
        analyzer.close()
    logits = baseline_logits(dataset)
    calibration = calibrate(logits, y)
    plain = probabilities(logits, calibration.temperature)
    return {
        "split": {"name": "dev", "sentences": len(docs), "documents": len(set(docs))},
        "model": report(scores, hits, y, docs),
        "baseline": report(plain, plain >= calibration.threshold, y, docs),
        "risk_types": per_type(hits, y),
    }


def manifest_metrics(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return the part of the evaluation that the manifest keeps: value and 95 % interval of each F1."""

    def rounded(block: dict[str, dict[str, float]]) -> dict[str, list[float]]:
        return {k: [round(m[key], 4) for key in ("value", "low", "high")] for k, m in block.items()}

    model = evaluation["model"]
    return {
        "split": evaluation["split"],
        "interval": "95 %, bootstrap over documents",
        "at_threshold": rounded(model["at_threshold"]),
        "cross_fitted": rounded(model["cross_fitted"]),
        "risk_average_precision": round(model["risk_average_precision"], 4),
        "calibration_error": round(model["calibration_error"], 4),
    }


def main(settings: Settings) -> None:
    """Evaluate, write the report, and put the figures into the artifact."""
    dataset = load_dataset(settings.data)
    evaluation = evaluate(settings, dataset)
    run, folder = settings.run_dir, settings.artifact_dir
    run.mkdir(parents=True, exist_ok=True)
    (run / "evaluation.json").write_text(json.dumps(evaluation, indent=1) + "\n", encoding="utf-8")
    (run / "evaluation.md").write_text(comparison_table(evaluation) + "\n", encoding="utf-8")
    fields = unsealed(folder) | {"metrics": manifest_metrics(evaluation)}
    write_card(folder, fields, evaluation, summary(dataset))
    seal(folder, fields)
    print(comparison_table(evaluation))


if __name__ == "__main__":
    run_step(main)
