"""Merges ranked lists by reciprocal rank fusion."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)
K = 60
"""Source: Cormack, Clarke and Buettcher, Reciprocal Rank Fusion (SIGIR 2009), section 3."""


def fused(lists: Mapping[str, Sequence[T]]) -> list[tuple[T, float, list[str]]]:
    """Return all items of ranked lists, best first: with its score, and the names of the lists that have it.

    The score is the sum of 1 / (60 + rank) over the lists; ties keep the order of the first list.
    """
    scores: dict[T, float] = {}
    names: dict[T, list[str]] = {}
    for name, ranked in lists.items():
        for rank, item in enumerate(ranked, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (K + rank)
            names.setdefault(item, []).append(name)
    order = sorted(scores, key=scores.__getitem__, reverse=True)
    return [(item, scores[item], names[item]) for item in order]
