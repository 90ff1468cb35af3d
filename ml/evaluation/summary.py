"""All figures of one analyzer over labelled sentences: arrays in, a dictionary for JSON out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ml.corpus.dataset import Example, fingerprint, targets
from ml.evaluation.calibration import cross_fitted_hits
from ml.evaluation.metrics import (
    any_risk,
    by_type,
    calibration_error,
    count,
    f1,
    f1_measures,
    precision_recall,
    ranking_measures,
    reliability,
)
from ml.evaluation.resampling import Measure
from ml.evaluation.scoring import ExampleResults
from ml.evaluation.slices import confusion, slices
from service.nlp.arrays import Bools, Floats
from service.nlp.artifacts.operating_points import risk_scores
from service.nlp.taxonomy import RISK_TYPES

NESTED_SEEDS = range(5)
"""Random splits of the documents into folds; the choice of a single split moves F1 by about a point."""


def nested_decisions(results: ExampleResults, examples: Sequence[Example]) -> list[Bools]:
    """Return the decisions with thresholds chosen on other documents, for each of NESTED_SEEDS.

    Empty if the analyzer gives no probabilities: it has no thresholds.
    """
    if results.scores is None:
        return []
    y, docs = targets(examples), [e.doc for e in examples]
    return [cross_fitted_hits(results.scores, y, docs, seed=seed) for seed in NESTED_SEEDS]


def figures(
    results: ExampleResults, examples: Sequence[Example], nested: Sequence[Bools]
) -> dict[str, Any]:
    """Return the figures of `results`, with its `nested_decisions`.

    `sensitivities` holds F1, precision and recall of each operating point; `nested` F1 with each document's
    thresholds chosen on other documents; `ranking` and `calibration` need no threshold. These three are None
    if the analyzer gives no probabilities.
    """
    y, docs = targets(examples), [e.doc for e in examples]
    first = next(iter(results.hits.values()))
    return {
        "analyzer": results.name,
        "data": describe(examples),
        "sensitivities": {s: _measured(hits, y, docs) for s, hits in results.hits.items()},
        "nested": _mean([f1_measures(hits, y, docs) for hits in nested]),
        **_score_figures(results.scores, y, docs),
        "risk_types": per_type(first, y),
        "confusion": confusion(first, y, results.scores),
        "slices": slices(first, y, examples),
    }


def describe(examples: Sequence[Example]) -> dict[str, Any]:
    """Return counts and the fingerprint of the sentences."""
    return {
        "sentences": len(examples),
        "with_risk": sum(bool(e.labels) for e in examples),
        "documents": len({e.doc for e in examples}),
        "fingerprint": fingerprint(examples),
    }


def _measured(hits: Bools, y: Floats, docs: Sequence[str]) -> dict[str, Any]:
    measures = f1_measures(hits, y, docs) | precision_recall(hits, y, docs)
    return {key: asdict(m) for key, m in measures.items()}


def _score_figures(scores: Floats | None, y: Floats, docs: Sequence[str]) -> dict[str, Any]:
    if scores is None:
        return {"ranking": None, "calibration": None}
    risk, true = risk_scores(scores)[:, None], any_risk(y > 0).astype(np.float32)
    return {
        "ranking": {key: asdict(m) for key, m in ranking_measures(scores, y, docs).items()},
        "calibration": {
            "risk_error": calibration_error(risk, true, least=0.0),
            "pair_error": calibration_error(scores, y),
            "risk_bins": reliability(risk, true, least=0.0),
            "pair_bins": reliability(scores, y),
        },
    }


def _mean(runs: Sequence[Mapping[str, Measure]]) -> dict[str, dict[str, float]] | None:
    """Return value, low and high of each measure, the mean over the runs; None without any."""
    if not runs:
        return None
    return {
        key: {
            part: float(np.mean([getattr(run[key], part) for run in runs]))
            for part in ("value", "low", "high")
        }
        for key in runs[0]
    }


def per_type(hits: Bools, y: Floats) -> dict[str, dict[str, float]]:
    """Return how often each risk type occurs, and its F1."""
    counts = count(by_type(hits), y > 0).sum(axis=0)
    support = y.sum(axis=0)
    return {
        r: {"sentences": int(support[k]), "f1": round(float(f1(counts[k])), 3)}
        for k, r in enumerate(RISK_TYPES)
    }
