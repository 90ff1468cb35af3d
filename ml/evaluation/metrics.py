"""Metrics of scores against labels; plain arrays in, numbers out.

Shapes: `scores` float32 (n, n_risk_types) in [0, 1], `y` float32 of the same shape with zeros and ones,
`docs` n names of documents, `thresholds` one number or float32 (n_risk_types,).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from ml.evaluation.resampling import (
    Measure,
    document_index,
    interval,
    resampled_documents,
    sum_by_document,
)
from service.nlp.arrays import Bools, Doubles, Floats
from service.nlp.artifacts.operating_points import risk_scores
from service.nlp.taxonomy import Taxonomy

Counts = npt.NDArray[np.float64]
"""(..., 3): true positives, false positives, false negatives."""

LEVELS = ("risk", "category", "type")
LEAST_COMMON = 5
"""Sentences of a category below which its F1 is chance."""
_RESAMPLES_AT_ONCE = 50
_Figure = Callable[[Doubles, Doubles], Doubles]


def members(taxonomy: Taxonomy) -> Floats:
    """Return float32 (n_risk_types, n_categories): 1 where the type belongs to the category."""
    of_column = np.array(taxonomy.category_by_column)
    return np.asarray(of_column[:, None] == np.array(taxonomy.category_keys), np.float32)


def any_risk(hits: Bools) -> Bools:
    """(n, n_risk_types) -> (n, 1): whether the sentence states any risk."""
    return np.asarray(hits.any(axis=1, keepdims=True))


def by_category(hits: Bools, *, taxonomy: Taxonomy) -> Bools:
    """(n, n_risk_types) -> (n, n_categories): whether the sentence states a risk of the category."""
    categories: Bools = hits.astype(np.float32) @ members(taxonomy) > 0
    return categories


def at_level(hits: Bools, level: str, *, taxonomy: Taxonomy) -> Bools:
    """Return the decisions at one of LEVELS, (n, 1), (n, n_categories) or (n, n_risk_types)."""
    if level == "risk":
        return any_risk(hits)
    return by_category(hits, taxonomy=taxonomy) if level == "category" else hits


def count(predicted: Bools, true: Bools) -> Counts:
    """Return (n, k, 3) counts of every sentence and column."""
    return np.stack([predicted & true, predicted & ~true, ~predicted & true], axis=-1).astype(
        np.float64
    )


def f1(counts: Counts) -> npt.NDArray[np.float64]:
    """Return F1 of (..., 3) counts; 0 if there is no positive, neither true nor predicted."""
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    scores: npt.NDArray[np.float64] = 2 * tp / np.maximum(2 * tp + fp + fn, 1)
    return scores


def f1_measures(
    hits: Bools, y: Floats, docs: Sequence[str], *, taxonomy: Taxonomy, seed: int = 0
) -> dict[str, Measure]:
    """Return micro-F1 of each level, macro-F1 of categories and types, with intervals over documents.

    A macro mean runs over the columns that occur in `y`, or in the resampled documents;
    `category_common_macro_f1` over the categories with at least LEAST_COMMON sentences in `y`, or the most
    frequent if there is none. `mean_f1` is the mean of the three micro-F1 values.
    """
    whole, resampled = resampled_f1(hits, y, docs, taxonomy=taxonomy, seed=seed)
    return {key: interval(whole[key], resampled[key]) for key in whole}


def resampled_f1(
    hits: Bools, y: Floats, docs: Sequence[str], *, taxonomy: Taxonomy, seed: int = 0
) -> tuple[dict[str, float], dict[str, Doubles]]:
    """Return every F1 over all sentences, and (n_resamples,) of each over resampled documents.

    The same documents and seed give the same resamples, whatever the decisions.
    """
    rows = resampled_documents(docs, seed=seed)
    whole: dict[str, float] = {}
    resampled: dict[str, Doubles] = {}
    for level in LEVELS:
        ours, true = (at_level(x, level, taxonomy=taxonomy) for x in (hits, y > 0))
        counts = sum_by_document(count(ours, true), docs)
        drawn = np.tensordot(rows, counts, axes=1)  # (n_resamples, k, 3)
        total = counts.sum(axis=0)
        whole[f"{level}_f1"] = float(f1(total.sum(axis=0)))
        resampled[f"{level}_f1"] = f1(drawn.sum(axis=1))
        if level != "risk":
            whole[f"{level}_macro_f1"] = float(macro_f1(total))
            resampled[f"{level}_macro_f1"] = macro_f1(drawn)
        if level == "category":
            support = total[:, 0] + total[:, 2]
            common = support >= min(LEAST_COMMON, support.max())
            whole["category_common_macro_f1"] = float(macro_f1(total[common]))
            resampled["category_common_macro_f1"] = macro_f1(drawn[:, common])
    micro = [f"{level}_f1" for level in LEVELS]
    whole["mean_f1"] = float(np.mean([whole[key] for key in micro]))
    resampled["mean_f1"] = np.mean([resampled[key] for key in micro], axis=0)
    return whole, resampled


def resampled_category_f1(
    hits: Bools, y: Floats, docs: Sequence[str], *, taxonomy: Taxonomy, seed: int = 0
) -> tuple[Doubles, Doubles]:
    """Return F1 of each category, (n_categories,), and over resampled documents, (n_resamples, n_categories).

    The resamples are those of `resampled_f1`.
    """
    ours, true = (by_category(x, taxonomy=taxonomy) for x in (hits, y > 0))
    counts = sum_by_document(count(ours, true), docs)
    drawn = np.tensordot(resampled_documents(docs, seed=seed), counts, axes=1)
    return f1(counts.sum(axis=0)), f1(drawn)


def precision_recall(
    hits: Bools, y: Floats, docs: Sequence[str], *, seed: int = 0
) -> dict[str, Measure]:
    """Return precision and recall of risk or no risk, with intervals over documents.

    Precision without any prediction is 0.
    """
    counts = sum_by_document(count(any_risk(hits), any_risk(y > 0))[:, 0], docs)
    drawn = resampled_documents(docs, seed=seed) @ counts
    whole = counts.sum(axis=0)
    return {
        key: interval(_share(whole, missing), _share(drawn, missing))
        for key, missing in (("risk_precision", 1), ("risk_recall", 2))
    }


def _share(counts: Counts, missing: int) -> Doubles:
    return np.asarray(counts[..., 0] / np.maximum(counts[..., 0] + counts[..., missing], 1))


def macro_f1(counts: Counts) -> Doubles:
    """(..., k, 3) -> (...): the mean F1 over the columns with a true positive label."""
    occurs = counts[..., 0] + counts[..., 2] > 0
    total: Doubles = (f1(counts) * occurs).sum(axis=-1)
    return np.asarray(total / np.maximum(occurs.sum(axis=-1), 1))


def category_scores(scores: Floats, *, taxonomy: Taxonomy) -> Floats:
    """(n, n_risk_types) -> (n, n_categories): the probability of at least one type of the category."""
    left = np.log1p(-np.minimum(scores.astype(np.float64), 1.0 - 1e-9))
    return np.asarray(-np.expm1(left @ members(taxonomy)), np.float32)


def level_scores(scores: Floats, level: str, *, taxonomy: Taxonomy) -> Floats:
    """Return the scores of a level, of the shape that `at_level` gives the decisions."""
    if level == "risk":
        return risk_scores(scores)[:, None]
    return category_scores(scores, taxonomy=taxonomy) if level == "category" else scores


def average_precision(score: Floats, true: Bools) -> float:
    """Return the area under precision over recall, as a step function (no interpolation).

    Both are (n,). Sentences with equal scores form one step of the curve.
    """
    docs = [""] * len(score)
    return float(_average_precision(*_curve(score, true, docs, np.ones((1, 1))))[0])


def ranking_measures(
    scores: Floats, y: Floats, docs: Sequence[str], *, taxonomy: Taxonomy, seed: int = 0
) -> dict[str, Measure]:
    """Return average precision of each level, micro-averaged over its pairs, and precision at fixed recall.

    The latter at 80 and 90 % recall of risk; all with intervals over documents.
    """
    measures: dict[str, Measure] = {}
    for level in LEVELS:
        score = level_scores(scores, level, taxonomy=taxonomy)
        true = at_level(y > 0, level, taxonomy=taxonomy)
        pair_docs = [doc for doc in docs for _ in range(score.shape[1])]
        figures: dict[str, _Figure] = {f"{level}_average_precision": _average_precision}
        if level == "risk":
            figures["risk_precision_at_recall_80"] = partial(_precision_at, recall=0.8)
            figures["risk_precision_at_recall_90"] = partial(_precision_at, recall=0.9)
        measures |= _resampled_ranking(score.ravel(), true.ravel(), pair_docs, figures, seed)
    return measures


def _resampled_ranking(
    score: Floats,
    true: Bools,
    docs: Sequence[str],
    figures: Mapping[str, _Figure],
    seed: int,
) -> dict[str, Measure]:
    rows = resampled_documents(docs, seed=seed)
    drawn: dict[str, list[Doubles]] = {key: [] for key in figures}
    for begin in range(0, len(rows), _RESAMPLES_AT_ONCE):  # all at once would take gigabytes
        curve = _curve(score, true, docs, rows[begin : begin + _RESAMPLES_AT_ONCE])
        for key, figure in figures.items():
            drawn[key].append(figure(*curve))
    whole = _curve(score, true, docs, np.ones((1, rows.shape[1])))
    return {
        key: interval(figure(*whole)[0], np.concatenate(drawn[key]))
        for key, figure in figures.items()
    }


def _curve(
    score: Floats, true: Bools, docs: Sequence[str], rows: Doubles
) -> tuple[Doubles, Doubles]:
    """Return right and flagged, (n_resamples, n_different_scores), counts from the highest score down."""
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    weights = np.take(rows, document_index(docs)[order], axis=1)
    return np.cumsum(weights * true[order], axis=1)[:, ends], np.cumsum(weights, axis=1)[:, ends]


def _average_precision(right: Doubles, flagged: Doubles) -> Doubles:
    steps = np.diff(right, axis=1, prepend=0.0)
    area: Doubles = (steps * right / np.maximum(flagged, 1)).sum(axis=1)
    return np.asarray(area / np.maximum(right[:, -1], 1))


def _precision_at(right: Doubles, flagged: Doubles, recall: float) -> Doubles:
    enough = (right >= recall * right[:, -1:]) & (right > 0)
    return np.asarray((right / np.maximum(flagged, 1) * enough).max(axis=1))


def calibration_error(scores: Floats, y: Floats, *, least: float = 0.05) -> float:
    """Return the expected calibration error (arXiv:1706.04599) over pairs scored at least `least`.

    Pairs (sentence, type) below are left out: tens of thousands of certain zeros would make any model look
    calibrated.
    """
    bins = reliability(scores, y, least=least)
    n = sum(b["pairs"] for b in bins)
    return sum(b["pairs"] * abs(b["score"] - b["share"]) for b in bins) / max(n, 1)


def reliability(
    scores: Floats, y: Floats, *, least: float = 0.05, n_bins: int = 10
) -> list[dict[str, float]]:
    """Return the non-empty bins of equal width, of the pairs scored at least `least`.

    `score` is a bin's mean score, `share` the share of its pairs that are true, `pairs` their number.
    """
    included = scores >= least
    p, hit = scores[included].astype(np.float64), y[included]
    bins = np.minimum((p * n_bins).astype(int), n_bins - 1)
    return [
        {
            "score": float(p[bins == b].mean()),
            "share": float(hit[bins == b].mean()),
            "pairs": int((bins == b).sum()),
        }
        for b in np.unique(bins)
    ]


def precision_recall_curve(score: Floats, true: Bools) -> tuple[Doubles, Doubles]:
    """Return precision and recall, (n_different_scores,) each, from the highest score down."""
    right, flagged = _curve(score, true, [""] * len(score), np.ones((1, 1)))
    return right[0] / np.maximum(flagged[0], 1), right[0] / max(right[0, -1], 1)
