"""How far the documents read lately are from those a model learned from: histograms and their distance.

Numpy alone, so that the service can count without a model library. A reference is a JSON object of
histograms; it holds no text. `ml.drift` makes one and compares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from service.errors import ArtifactError
from service.nlp.taxonomy import CATEGORIES

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Status = Literal["stable", "watch", "drifted", "too few"]

REFERENCE_FILE = "reference.json"
REFERENCE_VERSION = 1
STABLE, DRIFTED = 0.1, 0.25
"""Rules of thumb of credit scoring (Siddiqi, Credit Risk Scorecards, chapter 10), where PSI is from."""
_LEAST_SHARE = 1e-4
"""An empty bin would make the index infinite."""

SCORE_EDGES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
LENGTH_EDGES = (5, 10, 15, 20, 25, 30, 40, 60)
"""Words."""
PIECE_EDGES = (1, 3, 10, 30, 100, 300, 1000, 3000)
"""How often the reference holds a word piece; below the first edge, never."""
CATEGORY_BINS = (*CATEGORIES, "none")


@dataclass(frozen=True, slots=True)
class Shift:
    """The population stability index of one histogram, from 0 (alike) up, and what it means.

    `chance` is the index that as few sentences would show by chance alone, on average.
    """

    psi: float
    chance: float
    status: Status


def histogram(values: Sequence[float] | Floats, edges: Sequence[float]) -> list[int]:
    """Count values by bin, len(edges) + 1 of them: below edges[0], from edges[k] to edges[k + 1], above."""
    bins = np.searchsorted(np.asarray(edges, np.float64), np.asarray(values, np.float64), "right")
    return [int(n) for n in np.bincount(bins, minlength=len(edges) + 1)]


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


def shift(reference: Sequence[float], observed: Sequence[float]) -> Shift:
    """Return the index of two histograms of counts, and its status.

    `too few` where chance alone would look like more than stable: with n observations in b bins the
    index of unchanged data is about (b - 1) / n, plus the same of the reference.
    """
    n, m = float(np.sum(reference)), float(np.sum(observed))
    if n == 0 or m == 0:
        return Shift(0.0, float("inf"), "too few")
    n_bins = int(np.count_nonzero(np.asarray(reference) + np.asarray(observed)))
    value, chance = psi(reference, observed), (n_bins - 1) * (1 / n + 1 / m)
    if chance > STABLE:
        return Shift(value, chance, "too few")
    status: Status = "stable" if value < STABLE else "watch" if value <= DRIFTED else "drifted"
    return Shift(value, chance, status)


def shifts(reference: Mapping[str, Any], observed: Mapping[str, Any]) -> dict[str, Shift]:
    """Return the shift of each histogram that both have."""
    shared = [name for name in reference if name in observed]
    return {name: shift(reference[name], observed[name]) for name in shared}


def read_reference(path: Path) -> dict[str, Any]:
    """Read a reference.json.

    Raises:
        ArtifactError: it is missing, damaged, or of another version.
    """
    remedy = "Export the model again with `python -m ml.export`."
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} is missing or no JSON. {remedy}") from error
    if not isinstance(found, dict) or found.get("reference_version") != REFERENCE_VERSION:
        raise ArtifactError(f"{path} is no reference of version {REFERENCE_VERSION}. {remedy}")
    return found


def _shares(counts: Sequence[float]) -> Doubles:
    values = np.asarray(counts, np.float64)
    if values.sum() <= 0:
        raise ValueError("an empty histogram cannot be compared")
    raised = np.maximum(values / values.sum(), _LEAST_SHARE)
    return np.asarray(raised / raised.sum())
