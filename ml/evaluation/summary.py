"""All figures of one analyzer over labelled sentences: arrays in, a dictionary for JSON out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ml.corpus.dataset import Example, describe, targets
from ml.evaluation.calibration import TARGET
from ml.evaluation.metrics import (
    any_risk,
    calibration_error,
    count,
    f1,
    f1_measures,
    precision_recall,
    ranking_measures,
    reliability,
)
from ml.evaluation.nested import NestedRun
from ml.evaluation.resampling import Measure
from ml.evaluation.scoring import ExampleResults
from ml.evaluation.slices import confusion, slices
from service.nlp.arrays import Bools, Floats, Ints
from service.nlp.artifacts.operating_points import Sensitivity, risk_scores
from service.nlp.taxonomy import Taxonomy

PROMISES: Mapping[Sensitivity, str] = {"recall": "risk_recall", "precision": "risk_precision"}
"""The figure that each operating point promises to reach TARGET."""


def figures(
    results: ExampleResults, examples: Sequence[Example], nested: Sequence[NestedRun]
) -> dict[str, Any]:
    """Return the figures of `results`, with its `nested_runs`.

    `sensitivities` holds F1, precision and recall of each operating point; `nested` F1 with each document's
    calibration fitted on other documents; `ranking` and `calibration` need no threshold. These three are None
    if the analyzer gives no probabilities. `sets` holds the nested figures of all sentences and of each
    file; it is empty without probabilities.
    """
    taxonomy = results.taxonomy
    y, docs = targets(examples, taxonomy), [e.doc for e in examples]
    first = next(iter(results.hits.values()))
    return {
        "analyzer": results.name,
        "data": describe(examples),
        "sensitivities": {
            s: _measured(hits, y, docs, taxonomy) for s, hits in results.hits.items()
        },
        "nested": _balanced(nested, y, docs, taxonomy),
        "sets": _sets(nested, y, examples, taxonomy),
        **_score_figures(results.scores, y, docs, taxonomy),
        "risk_types": per_type(first, y, taxonomy=taxonomy),
        "confusion": confusion(first, y, results.scores, taxonomy=taxonomy),
        "slices": slices(first, y, examples, taxonomy=taxonomy),
    }


def _balanced(
    nested: Sequence[NestedRun], y: Floats, docs: Sequence[str], taxonomy: Taxonomy
) -> dict[str, dict[str, float]] | None:
    """Return F1 at the balanced point, the mean over the runs; None without any."""
    return _mean([f1_measures(r.hits["balanced"], y, docs, taxonomy=taxonomy) for r in nested])


def _measured(hits: Bools, y: Floats, docs: Sequence[str], taxonomy: Taxonomy) -> dict[str, Any]:
    measures = f1_measures(hits, y, docs, taxonomy=taxonomy) | precision_recall(hits, y, docs)
    return {key: asdict(m) for key, m in measures.items()}


def _score_figures(
    scores: Floats | None, y: Floats, docs: Sequence[str], taxonomy: Taxonomy
) -> dict[str, Any]:
    if scores is None:
        return {"ranking": None, "calibration": None}
    ranked = ranking_measures(scores, y, docs, taxonomy=taxonomy)
    risk, true = risk_scores(scores)[:, None], any_risk(y > 0).astype(np.float32)
    return {
        "ranking": {key: asdict(m) for key, m in ranked.items()},
        "calibration": {
            **_errors(scores, y),
            "risk_bins": reliability(risk, true, least=0.0),
            "pair_bins": reliability(scores, y),
        },
    }


def _sets(
    nested: Sequence[NestedRun], y: Floats, examples: Sequence[Example], taxonomy: Taxonomy
) -> dict[str, dict[str, Any]]:
    """Return the nested figures of `all` sentences and, if there are several files, of each."""
    if not nested:
        return {}
    files = np.asarray([e.file for e in examples])
    names = np.unique(files).tolist()
    rows = {"all": np.arange(len(files))}
    rows |= {name: np.flatnonzero(files == name) for name in names if len(names) > 1}
    return {name: _set(nested, y, examples, chosen, taxonomy) for name, chosen in rows.items()}


def _set(
    nested: Sequence[NestedRun],
    y: Floats,
    examples: Sequence[Example],
    rows: Ints,
    taxonomy: Taxonomy,
) -> dict[str, Any]:
    """Return F1, promises and calibration errors of some rows, each the mean over the runs.

    `promises` has the recall of the point `recall` and the precision of the point `precision`, with
    `off`, how far each is from TARGET; positive is better than promised.
    """
    part, labels = [examples[row] for row in rows], y[rows]
    docs = [e.doc for e in part]
    promises = {}
    for sensitivity, key in PROMISES.items():
        runs = [precision_recall(run.hits[sensitivity][rows], labels, docs) for run in nested]
        kept = _mean(runs) or {}
        promises[sensitivity] = {**kept, "off": kept[key]["value"] - TARGET}
    errors = [_errors(run.scores[rows], labels) for run in nested]
    return {
        "data": describe(part),
        "nested": _mean(
            [
                f1_measures(run.hits["balanced"][rows], labels, docs, taxonomy=taxonomy)
                for run in nested
            ]
        ),
        "promises": promises,
        "calibration": {key: float(np.mean([e[key] for e in errors])) for key in errors[0]},
    }


def _errors(scores: Floats, y: Floats) -> dict[str, float]:
    risk, true = risk_scores(scores)[:, None], any_risk(y > 0).astype(np.float32)
    return {
        "risk_error": calibration_error(risk, true, least=0.0),
        "pair_error": calibration_error(scores, y),
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


def per_type(hits: Bools, y: Floats, *, taxonomy: Taxonomy) -> dict[str, dict[str, float]]:
    """Return how often each risk type occurs, and its F1."""
    counts = count(hits, y > 0).sum(axis=0)
    support = y.sum(axis=0)
    return {
        r: {"sentences": int(support[k]), "f1": round(float(f1(counts[k])), 3)}
        for k, r in enumerate(taxonomy.risk_types)
    }
