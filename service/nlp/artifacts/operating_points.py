"""Operating points: how scores become findings, for those who want fewer misses or fewer false alarms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.nlp.arrays import Bools, Floats, row_blocks

Sensitivity = Literal["balanced", "recall", "precision"]
SENSITIVITIES: tuple[Sensitivity, ...] = ("balanced", "recall", "precision")


def risk_scores(scores: Floats) -> Floats:
    """Return float32 (n,): the probability that a sentence states any risk, 1 - prod(1 - p).

    `scores` is float32 (n, n_risk_types) in [0, 1]. The types are taken as independent (noisy or): a
    sentence that might be one of three types is more surely a risk than each type says.
    """
    some = np.empty(len(scores), np.float32)
    with np.errstate(divide="ignore"):  # a score of 1 makes the risk certain
        for rows in row_blocks(len(scores)):
            none = np.log1p(-scores[rows].astype(np.float64)).sum(axis=1)
            some[rows] = -np.expm1(none)
    return some


@dataclass(frozen=True, slots=True, eq=False)
class OperatingPoint:
    """`risk_threshold` in (0, 1) decides whether a sentence states a risk, `thresholds` which types.

    `thresholds` is float32 (n_risk_types,), each in (0, 1), in taxonomy order.
    """

    risk_threshold: float
    thresholds: Floats

    def decide(self, scores: Floats) -> Bools:
        """Return bool (n, n_risk_types): which types each sentence states.

        A sentence whose risk score reaches the risk threshold states the types that reach theirs, or
        the best one where none does; any other states none.
        """
        stated = risk_scores(scores) >= self.risk_threshold
        hits = scores >= self.thresholds
        hits &= stated[:, None]
        untyped = np.flatnonzero(stated & ~hits.any(axis=1))
        if untyped.size:  # most often there are none, and argmax lets the GIL go
            hits[untyped, scores[untyped].argmax(axis=1)] = True
        return np.asarray(hits)
