"""F1 by domain, kind of document and length of the sentence, and the confusion of categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ml.corpus.dataset import Example
from ml.evaluation.metrics import any_risk, by_category, f1_measures, members
from ml.evaluation.resampling import Measure
from service.nlp.arrays import Bools, Floats
from service.nlp.taxonomy import Taxonomy

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


def length_bucket(text: str) -> str:
    """Return the key of LENGTHS for the sentence's number of words."""
    n = len(text.split())
    return next(key for key, (low, high) in LENGTHS.items() if low <= n < high)


def slices(
    hits: Bools, y: Floats, examples: Sequence[Example], *, taxonomy: Taxonomy
) -> dict[str, dict[str, Any]]:
    """Return counts and F1 with intervals of each domain and kind of document (sorted), and of each length.

    `found` counts the sentences with a reported risk. F1 is None if no sentence states a risk, and has no
    interval (low and high None) if fewer than LEAST_DOCUMENTS documents state one.
    """
    domains = [e.domain or "unknown" for e in examples]
    kinds = [e.kind or "other" for e in examples]
    lengths = [length_bucket(e.text) for e in examples]
    parts = {"domain": (domains, sorted(set(domains)))}
    if any(e.kind for e in examples):
        parts["kind"] = (kinds, sorted(set(kinds)))
    parts["length"] = (lengths, [k for k in LENGTHS if k in lengths])
    docs = [e.doc for e in examples]
    return {
        part: {name: _slice(hits, y, docs, np.asarray(names) == name, taxonomy) for name in order}
        for part, (names, order) in parts.items()
    }


def _slice(
    hits: Bools, y: Floats, docs: Sequence[str], chosen: Bools, taxonomy: Taxonomy
) -> dict[str, Any]:
    rows = np.flatnonzero(chosen)
    slice_docs = [docs[int(row)] for row in rows]
    risks = np.flatnonzero(any_risk(y[rows] > 0))
    has_interval = len({slice_docs[int(k)] for k in risks}) >= LEAST_DOCUMENTS
    measures = f1_measures(hits[rows], y[rows], slice_docs, taxonomy=taxonomy)
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


def confusion(
    hits: Bools, y: Floats, scores: Floats | None, *, taxonomy: Taxonomy
) -> dict[str, Any]:
    """Return counts of true (rows) against predicted categories (columns), `none` the last of each.

    Each sentence counts once: its predicted category is that of its highest-scored hit; its true category
    is the predicted one if the sentence has it, else its first in taxonomy order.
    """
    strength = hits.astype(np.float32) if scores is None else np.where(hits, scores + 1.0, 0.0)
    none = len(taxonomy.category_keys)
    category = members(taxonomy).argmax(axis=1)
    predicted = np.where(hits.any(axis=1), category[strength.argmax(axis=1)], none)
    truth = by_category(y > 0, taxonomy=taxonomy)
    first = np.where(truth.any(axis=1), truth.argmax(axis=1), none)
    padded = np.column_stack([truth, np.zeros(len(truth), np.bool_)])
    true = np.where(padded[np.arange(len(predicted)), predicted], predicted, first)
    counts = np.zeros((none + 1, none + 1), np.int64)
    np.add.at(counts, (true, predicted), 1)
    return {"labels": [*taxonomy.category_keys, NONE], "counts": counts.tolist()}
