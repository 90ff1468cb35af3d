"""Measures of scores against labels; plain arrays in, numbers out.

Shapes: `scores` float32 (n, n_risk_types) in [0, 1], `y` float32 of the same shape with zeros and ones,
`docs` n names of documents, `thresholds` one number or float32 (n_risk_types,).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.nlp.taxonomy import CATEGORIES, RISK_TYPES, category_of

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.float64]
"""(..., 3): true positives, false positives, false negatives."""

N_RESAMPLES = 2000
_MEMBERS = np.array([[category_of(r) == c for c in CATEGORIES] for r in RISK_TYPES], np.float32)


@dataclass(frozen=True, slots=True)
class Measure:
    """A value and its 95 % interval over resampled documents."""

    value: float
    low: float
    high: float


def any_risk(hits: Bools) -> Bools:
    """(n, n_risk_types) -> (n, 1): does the sentence state a risk at all."""
    return np.asarray(hits.any(axis=1, keepdims=True))


def by_category(hits: Bools) -> Bools:
    """(n, n_risk_types) -> (n, n_categories): does the sentence state a risk of the category."""
    found: Bools = hits.astype(np.float32) @ _MEMBERS > 0
    return found


def by_type(hits: Bools) -> Bools:
    """Return the hits themselves."""
    return hits


LEVELS: dict[str, Callable[[Bools], Bools]] = {
    "risk": any_risk,
    "category": by_category,
    "type": by_type,
}


def count(predicted: Bools, true: Bools) -> Counts:
    """Return (n, k, 3) counts of every sentence and column."""
    return np.stack([predicted & true, predicted & ~true, ~predicted & true], axis=-1).astype(
        np.float64
    )


def f1(counts: Counts) -> npt.NDArray[np.float64]:
    """Return F1 of (..., 3) counts; 0 where nothing is there to find and nothing was found."""
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    scores: npt.NDArray[np.float64] = 2 * tp / np.maximum(2 * tp + fp + fn, 1)
    return scores


def micro_f1(hits: Bools, y: Floats, level: str) -> float:
    """Return F1 over all (sentence, column) pairs of a level: risk, category or type."""
    seen = LEVELS[level]
    return float(f1(count(seen(hits), seen(y > 0)).sum(axis=(0, 1))))


def f1_measures(
    hits: Bools, y: Floats, docs: Sequence[str], *, seed: int = 0
) -> dict[str, Measure]:
    """Return micro-F1 of each level and category macro-F1, with intervals over documents.

    The macro mean runs over the categories that occur in `y`, or in the resampled documents.
    """
    rows = _resampled_documents(docs, seed)
    measures = {}
    for level, seen in LEVELS.items():
        counts = count(seen(hits), seen(y > 0))
        per_doc = _sum_by_document(counts, docs)
        resampled = np.tensordot(rows, per_doc, axes=1)  # (n_resamples, k, 3)
        measures[f"{level}_f1"] = _measure(f1(counts.sum(axis=(0, 1))), f1(resampled.sum(axis=1)))
        if level == "category":
            value = _macro_f1(counts.sum(axis=0))
            measures["category_macro_f1"] = _measure(value, _macro_f1(resampled))
    return measures


def _macro_f1(counts: Counts) -> npt.NDArray[np.float64]:
    """(..., k, 3) -> (...): the mean over the columns with something to find."""
    occurs = counts[..., 0] + counts[..., 2] > 0
    total: npt.NDArray[np.float64] = (f1(counts) * occurs).sum(axis=-1)
    return np.asarray(total / np.maximum(occurs.sum(axis=-1), 1))


def _measure(value: npt.NDArray[np.float64], resampled: npt.NDArray[np.float64]) -> Measure:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Measure(float(value), float(low), float(high))


def _sum_by_document(counts: Counts, docs: Sequence[str]) -> Counts:
    names, index = np.unique(np.asarray(docs), return_inverse=True)
    summed = np.zeros((len(names), *counts.shape[1:]))
    np.add.at(summed, index, counts)
    return summed


def _resampled_documents(docs: Sequence[str], seed: int) -> Counts:
    """Return (n_resamples, n_documents): how often each document was drawn, with replacement."""
    n = len(set(docs))
    return (
        np.random.default_rng(seed)
        .multinomial(n, np.full(n, 1 / n), N_RESAMPLES)
        .astype(np.float64)
    )


def average_precision(score: Floats, true: Bools) -> float:
    """Return the area under precision over recall, as a step function (no interpolation)."""
    order = np.argsort(-score, kind="stable")
    hits = true[order].astype(np.float64)
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / max(hits.sum(), 1))


def calibration_error(scores: Floats, y: Floats, *, least: float = 0.05, n_bins: int = 10) -> float:
    """Return the expected calibration error over (sentence, type) pairs scored at least `least`.

    Pairs below are left out: tens of thousands of certain zeros would make any model look calibrated.
    """
    shown = scores >= least
    p, hit = scores[shown], y[shown]
    bins = np.minimum((p * n_bins).astype(int), n_bins - 1)
    gaps = [abs(float((p - hit)[bins == b].sum())) for b in range(n_bins)]
    return sum(gaps) / max(len(p), 1)
