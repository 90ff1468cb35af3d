"""How far the documents read lately are from those a model learned from: histograms and their distance.

Numpy alone, so that the service can count without a model library. A reference is a JSON object of
histograms; it holds no text. `ml.evaluation.drift_report` makes one and compares.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from service.errors import ArtifactError
from service.nlp.arrays import Doubles, Floats
from service.nlp.taxonomy import CATEGORIES

Status = Literal["stable", "watch", "drifted", "too few"]

REFERENCE_FILE = "reference.json"
REFERENCE_VERSION = 2
_READABLE = (1, REFERENCE_VERSION)
"""Version 1 has no `noise`, and was made of sentences that the model had learned from."""
STABLE, DRIFTED = 0.1, 0.25
"""Rules of thumb of credit scoring (Siddiqi, Credit Risk Scorecards, chapter 10), where PSI is from."""
_LEAST_SHARE, _LEAST_COUNT = 1e-4, 0.5
"""An empty bin would make the index infinite; of few sentences it may be empty by chance."""

SCORE_EDGES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
LENGTH_EDGES = (5, 10, 15, 20, 25, 30, 40, 60)
"""Words."""
PIECE_EDGES = (1, 3, 10, 30, 100, 300, 1000, 3000)
"""How often the reference holds a word piece; below the first edge, never."""
CATEGORY_BINS = (*CATEGORIES, "none")


class Found(NamedTuple):
    """What drift looks at of a finding; `start` tells the sentences of a document apart."""

    start: int
    category: str
    score: float | None
    context: str


@dataclass(frozen=True, slots=True)
class Shift:
    """The population stability index of one histogram, from 0 (alike) up, and what it means.

    `chance` is the index that as few sentences would show by chance alone, on average; the status is
    that of the index without it.
    """

    psi: float
    chance: float
    status: Status


def histogram(values: Sequence[float] | Floats, edges: Sequence[float]) -> list[int]:
    """Count values by bin, len(edges) + 1 of them: below edges[0], from edges[k] to edges[k + 1], above."""
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[bisect_right(edges, value)] += 1
    return counts


def surest(findings: Sequence[Found]) -> list[Found]:
    """Return the finding of the highest score of each sentence of a document, in document order."""
    best: dict[int, Found] = {}
    for found in findings:
        before = best.get(found.start)
        if before is None or (found.score or 0) > (before.score or 0):
            best[found.start] = found
    return list(best.values())


def finding_counts(findings: Sequence[Found], n_sentences: int) -> dict[str, list[int]]:
    """Return the histograms of a document of `n_sentences` that need no tokenizer.

    `score` counts the findings, `category` the sentences, `length` those that state a risk.
    """
    best = surest(findings)
    categories = Counter(found.category for found in best)
    categories["none"] = n_sentences - len(best)
    return {
        "score": histogram([f.score for f in findings if f.score is not None], SCORE_EDGES),
        "category": [categories[key] for key in CATEGORY_BINS],
        "length": histogram([len(found.context.split()) for found in best], LENGTH_EDGES),
    }


def psi(reference: Sequence[float], observed: Sequence[float]) -> float:
    """Return the population stability index of two histograms over the same bins.

    Zero where the shares are equal, growing without bound; symmetric.

    Raises:
        ValueError: the bins differ in number, or a histogram is empty.
    """
    p, q = _shares(reference), _shares(observed)
    if p.shape != q.shape:
        raise ValueError(f"histograms of {len(p)} and {len(q)} bins cannot be compared")
    return float(((q - p) * np.log(q / p)).sum())


def shift(
    reference: Sequence[float], observed: Sequence[float], *, noise: float | None = None
) -> Shift:
    """Return the index of two histograms of counts, and its status.

    `noise` is the mean index between the reference and as large a sample of the same kind of
    documents; None takes (bins - 1) / n, as of sentences that have nothing to do with each other. The
    chance of n observations beside a reference of m is noise * (1 + m / n). `too few` where that is more
    than STABLE.
    """
    m, n = float(np.sum(reference)), float(np.sum(observed))
    if n == 0 or m == 0:
        return Shift(0.0, float("inf"), "too few")
    if noise is None:
        noise = (np.count_nonzero(np.asarray(reference) + np.asarray(observed)) - 1) / m
    value, chance = psi(reference, observed), float(noise * (1 + m / n))
    if chance > STABLE:
        return Shift(value, chance, "too few")
    above = value - chance
    status: Status = "stable" if above < STABLE else "watch" if above <= DRIFTED else "drifted"
    return Shift(value, chance, status)


def shifts(
    reference: Mapping[str, Any],
    observed: Mapping[str, Any],
    *,
    noise: Mapping[str, float] | None = None,
) -> dict[str, Shift]:
    """Return the shift of each histogram that both have; `noise` by name, as in `shift`."""
    shared = [name for name in reference if name in observed]
    known = noise or {}
    return {name: shift(reference[name], observed[name], noise=known.get(name)) for name in shared}


def read_reference(path: Path) -> dict[str, Any]:
    """Read a reference.json.

    Raises:
        ArtifactError: it is missing, damaged, or of another version.
    """
    remedy = "Export the model again with `.venv-test/bin/python -m ml export`."
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} is missing or no JSON. {remedy}") from error
    if not isinstance(found, dict) or found.get("reference_version") not in _READABLE:
        raise ArtifactError(f"{path} is no reference of version {REFERENCE_VERSION}. {remedy}")
    return found


def _shares(counts: Sequence[float]) -> Doubles:
    values = np.asarray(counts, np.float64)
    if values.sum() <= 0:
        raise ValueError("an empty histogram cannot be compared")
    raised = np.maximum(values, max(_LEAST_COUNT, _LEAST_SHARE * values.sum()))
    return np.asarray(raised / raised.sum())
