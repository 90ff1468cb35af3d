"""F1 by domain and by length of the sentence, and the confusion of categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ml.corpus.dataset import Example
from ml.evaluation.metrics import any_risk, by_category, f1_measures
from ml.evaluation.resampling import Measure
from service.nlp.arrays import Bools, Floats
from service.nlp.taxonomy import CATEGORIES, RISK_TYPES, risk_category

LENGTHS = {
    "under 10": (0, 10),
    "10 to 19": (10, 20),
    "20 to 39": (20, 40),
    "40 or more": (40, 10**9),
}
"""Words: at least the first number, fewer than the second."""
NONE = "none"
LEAST_DOCUMENTS = 5
"""Documents with a risk below which no interval is given: the bootstrap would draw the same few, or none."""
_CATEGORY = np.array([CATEGORIES.index(risk_category(r)) for r in RISK_TYPES])


def length_bucket(text: str) -> str:
    """Return the key of LENGTHS for the sentence's number of words."""
    n = len(text.split())
    return next(key for key, (low, high) in LENGTHS.items() if low <= n < high)


def slices(hits: Bools, y: Floats, examples: Sequence[Example]) -> dict[str, dict[str, Any]]:
    """Return counts and F1 with intervals of each domain (sorted by name) and of each length.

    `found` counts the sentences with a reported risk. F1 is None if no sentence states a risk, and has no
    interval (low and high None) if fewer than LEAST_DOCUMENTS documents state one.
    """
    domains = [e.domain or "unknown" for e in examples]
    lengths = [length_bucket(e.text) for e in examples]
    docs = [e.doc for e in examples]
    return {
        "domain": {d: _slice(hits, y, docs, domains, d) for d in sorted(set(domains))},
        "length": {k: _slice(hits, y, docs, lengths, k) for k in LENGTHS if k in lengths},
    }


def _slice(
    hits: Bools, y: Floats, docs: Sequence[str], names: Sequence[str], name: str
) -> dict[str, Any]:
    rows = np.flatnonzero(np.asarray(names) == name)
    slice_docs = [docs[int(row)] for row in rows]
    risks = np.flatnonzero(any_risk(y[rows] > 0))
    has_interval = len({slice_docs[int(k)] for k in risks}) >= LEAST_DOCUMENTS
    measures = f1_measures(hits[rows], y[rows], slice_docs)
    return {
        "sentences": len(rows),
        "documents": len(set(slice_docs)),
        "with_risk": len(risks),
        "found": int(any_risk(hits[rows]).sum()),
        **{
            f"{k}_f1": _as_json(measures[f"{k}_f1"], has_interval=has_interval)
            if len(risks)
            else None
            for k in ("risk", "category", "type")
        },
    }


def _as_json(m: Measure, *, has_interval: bool) -> dict[str, float | None]:
    return asdict(m) if has_interval else {"value": m.value, "low": None, "high": None}


def confusion(hits: Bools, y: Floats, scores: Floats | None) -> dict[str, Any]:
    """Return counts of true (rows) against predicted categories (columns), `none` the last of each.

    Each sentence counts once: its predicted category is that of its highest-scored hit; its true category
    is the predicted one if the sentence has it, else its first in taxonomy order.
    """
    strength = hits.astype(np.float32) if scores is None else np.where(hits, scores + 1.0, 0.0)
    none = len(CATEGORIES)
    predicted = np.where(hits.any(axis=1), _CATEGORY[strength.argmax(axis=1)], none)
    truth = by_category(y > 0)
    first = np.where(truth.any(axis=1), truth.argmax(axis=1), none)
    padded = np.column_stack([truth, np.zeros(len(truth), np.bool_)])
    true = np.where(padded[np.arange(len(predicted)), predicted], predicted, first)
    counts = np.zeros((none + 1, none + 1), np.int64)
    np.add.at(counts, (true, predicted), 1)
    return {"labels": [*CATEGORIES, NONE], "counts": counts.tolist()}
