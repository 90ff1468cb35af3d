"""Drift of stored scans: compares the newest ones with the serving model's reference distribution.

The drift monitor compares all scans of the newest hours, those that were not stored too; this compares the
stored ones, with their bins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from db.queries import scans as queries
from service.errors import ArtifactError, NotFound
from service.nlp.artifacts import drift_index
from service.nlp.artifacts.drift_index import (
    LENGTH_EDGES,
    REFERENCE_FILE,
    SCORE_EDGES,
    ObservedFinding,
    Reference,
    Shift,
)
from service.nlp.artifacts.registry import Registry
from service.nlp.taxonomy import Taxonomy

MAX_SENTENCES = 10_000
"""Sentences after which no further scan is compared."""
MAX_SCANS = 1_000
"""Most scans that are compared, the newest."""
_NAMES = ("score", "category", "length")
Counts = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Window:
    """Histograms of the newest scans of a model, by name, and how much they cover."""

    n_scans: int
    n_sentences: int
    counts: Counts


def recent(session: Session, model: tuple[str, str], taxonomy: Taxonomy) -> Window:
    """Return the histograms of a model's newest scans at balanced sensitivity, up to MAX_SENTENCES.

    Scans that hide findings by a user's thresholds, or without a readable text, are left out.
    """
    kept, n_sentences = [], 0
    for scan in queries.newest_of_model(session, model, sensitivity="balanced", limit=MAX_SCANS):
        if n_sentences >= MAX_SENTENCES:
            break
        if scan.coverage.get("sentences") and not scan.coverage.get("hidden_findings"):
            kept.append(scan)
            n_sentences += scan.coverage["sentences"]
    parts = [drift_index.finding_counts([], 0, taxonomy=taxonomy)]
    for scan in kept:
        findings = [
            ObservedFinding(f.start, f.category, f.score, f.context)
            for f in queries.list_findings(session, scan.id)
            if f.start is not None and f.category is not None
        ]
        n = scan.coverage["sentences"]
        parts.append(drift_index.finding_counts(findings, n, taxonomy=taxonomy))
    counts = {name: np.sum([part[name] for part in parts], axis=0).tolist() for name in _NAMES}
    return Window(len(kept), n_sentences, counts)


def read_reference(registry: Registry, model: str) -> Reference | None:
    """Return the reference of a model of the registry; None if it has none."""
    try:
        return drift_index.read_reference(registry.folder(model) / REFERENCE_FILE)
    except (NotFound, ArtifactError):
        return None


def histograms(window: Window, reference: Reference, taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """Return each histogram with its shift and its bins: label, share in the reference, and share now."""
    shifts = drift_index.shifts(reference.findings, window.counts, noise=reference.noise.findings)
    labels = {
        "score": _ranges(SCORE_EDGES),
        "category": drift_index.category_bins(taxonomy),
        "length": _ranges(LENGTH_EDGES),
    }
    return [
        {
            "name": name,
            **_shift(shifts[name]),
            "bins": [
                {"label": label, "reference": before, "observed": now}
                for label, before, now in zip(
                    labels[name],
                    _shares(reference.findings[name]),
                    _shares(window.counts[name]),
                    strict=True,
                )
            ],
        }
        for name in _NAMES
        if name in shifts
    ]


def _shift(shift: Shift) -> dict[str, Any]:
    """Return the fields of a shift; JSON has no infinity."""
    is_known = math.isfinite(shift.chance)
    return {
        "psi": shift.psi if is_known else None,
        "chance": shift.chance if is_known else None,
        "status": shift.status,
    }


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [n / total if total else 0.0 for n in counts]


def _ranges(edges: Sequence[float]) -> list[str]:
    """Return the labels of the bins between edges, such as <0.1, 0.1-0.2, >=0.2."""
    between = [f"{low:g}-{high:g}" for low, high in pairwise(edges)]
    return [f"<{edges[0]:g}", *between, f">={edges[-1]:g}"]
