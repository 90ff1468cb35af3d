"""Drift: the distance between histograms of recent documents and those of the model's reference documents.

`ml.evaluation.drift_reference` computes the reference, reference.json; it contains no text. Imports no model
library.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel

from service.nlp.arrays import Doubles, Floats
from service.nlp.json_file import read_json
from service.nlp.taxonomy import Taxonomy

Status = Literal["stable", "watch", "drifted", "too few"]

REFERENCE_FILE = "reference.json"
REFERENCE_VERSION = 2
STABLE, DRIFTED = 0.1, 0.25
"""Rules of thumb from credit scoring (Siddiqi, Credit Risk Scorecards, chapter 10), the index's origin."""
_MIN_SHARE, _MIN_COUNT = 1e-4, 0.5
"""Floors of each bin: small samples leave bins empty by chance, which would make the index infinite."""

SCORE_EDGES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
LENGTH_EDGES = (5, 10, 15, 20, 25, 30, 40, 60)
"""Words."""
PIECE_EDGES = (1, 3, 10, 30, 100, 300, 1000, 3000)
"""Occurrences of a word piece in the training sentences; below the first edge, none."""


class ObservedFinding(NamedTuple):
    """The parts of a finding that drift measures; `start` identifies its sentence within the document."""

    start: int
    category: str
    score: float | None
    context: str


class Noise(BaseModel):
    """The mean index between two samples of the same kind of documents, by histogram."""

    sentences: dict[str, float] | None = None
    findings: dict[str, float] | None = None


class Reference(BaseModel):
    """The content of reference.json: histograms of documents that the model was not trained on.

    `sentences` counts all sentences, `findings` those that state a risk. Version 1 has no `noise`, and its
    sentences are the training sentences.
    """

    reference_version: Literal[1, 2]
    n_sentences: int
    piece_bins: str
    unknown_share: float
    sentences: dict[str, list[int]]
    findings: dict[str, list[int]]
    noise: Noise = Noise()


@dataclass(frozen=True, slots=True)
class Shift:
    """The population stability index of one histogram, at least 0 (equal), and its status.

    `chance` is the mean index of a sample of this size without drift. The status rates `psi - chance`.
    """

    psi: float
    chance: float
    status: Status


def category_bins(taxonomy: Taxonomy) -> tuple[str, ...]:
    """Return the bins of the histogram `category`; the last is for sentences without a risk."""
    return (*taxonomy.category_keys, "none")


def histogram(values: Sequence[float] | Floats, edges: Sequence[float]) -> list[int]:
    """Count values in len(edges) + 1 bins: below edges[0], from edges[k] up to edges[k + 1], and above."""
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[bisect_right(edges, value)] += 1
    return counts


def top_findings(findings: Sequence[ObservedFinding]) -> list[ObservedFinding]:
    """Return the finding with the highest score of each sentence, in document order."""
    best: dict[int, ObservedFinding] = {}
    for finding in findings:
        previous = best.get(finding.start)
        if previous is None or (finding.score or 0) > (previous.score or 0):
            best[finding.start] = finding
    return list(best.values())


def finding_counts(
    findings: Sequence[ObservedFinding], n_sentences: int, *, taxonomy: Taxonomy
) -> dict[str, list[int]]:
    """Return the histograms of a document that need no tokenizer.

    `score` counts findings, `category` all sentences, and `length` the sentences that state a risk.
    """
    best = top_findings(findings)
    categories = Counter(finding.category for finding in best)
    categories["none"] = n_sentences - len(best)
    return {
        "score": histogram([f.score for f in findings if f.score is not None], SCORE_EDGES),
        "category": [categories[key] for key in category_bins(taxonomy)],
        "length": histogram([len(finding.context.split()) for finding in best], LENGTH_EDGES),
    }


def psi(reference: Sequence[float], observed: Sequence[float]) -> float:
    """Return the population stability index of two histograms over the same bins.

    The index is symmetric, 0 for equal shares, and unbounded.

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

    `noise` is the mean index between the reference of m observations and a sample of the same size from
    the same kind of documents; None means (bins - 1) / m, its value for independent sentences. `chance` for
    n observations is noise * (1 + m / n). If it exceeds STABLE, the status is "too few".
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
    reference: Mapping[str, Sequence[float]],
    observed: Mapping[str, Sequence[float]],
    *,
    noise: Mapping[str, float] | None = None,
) -> dict[str, Shift]:
    """Return the shift of each histogram that both sides have; `noise` has `shift`'s argument by name."""
    shared = [name for name in reference if name in observed]
    known = noise or {}
    return {name: shift(reference[name], observed[name], noise=known.get(name)) for name in shared}


def read_reference(path: Path) -> Reference:
    """Read a reference.json.

    Raises:
        ArtifactError: the file is missing, damaged, or of another version.
    """
    remedy = "Export the model again with `.venv-test/bin/python -m ml export`."
    return read_json(Reference, path, remedy=remedy)


def _shares(counts: Sequence[float]) -> Doubles:
    values = np.asarray(counts, np.float64)
    if values.sum() <= 0:
        raise ValueError("an empty histogram cannot be compared")
    floored = np.maximum(values, max(_MIN_COUNT, _MIN_SHARE * values.sum()))
    return np.asarray(floored / floored.sum())
