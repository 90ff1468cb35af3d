"""Operating points: the thresholds that turn scores into findings, one point per sensitivity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.nlp.arrays import Bools, Floats, row_blocks

Sensitivity = Literal["balanced", "recall", "precision"]
SENSITIVITIES: tuple[Sensitivity, ...] = ("balanced", "recall", "precision")


def risk_scores(scores: Floats) -> Floats:
    """Return float32 (n,): the probability that a sentence states any risk, 1 - prod(1 - p).

    `scores` is float32 (n, n_risk_types) in [0, 1]. The types count as independent (noisy-or), so several
    uncertain types make a risk more probable than each of them alone.
    """
    some = np.empty(len(scores), np.float32)
    with np.errstate(divide="ignore"):  # log1p(-1): a score of 1 makes the risk certain
        for rows in row_blocks(len(scores)):
            none = np.log1p(-scores[rows].astype(np.float64)).sum(axis=1)
            some[rows] = -np.expm1(none)
    return some


@dataclass(frozen=True, slots=True, eq=False)
class OperatingPoint:
    """`risk_threshold` in (0, 1) decides whether a sentence states a risk; `thresholds` decide which types.

    `thresholds` is float32 (n_risk_types,), each in (0, 1), in taxonomy order.
    """

    risk_threshold: float
    thresholds: Floats

    def decide(self, scores: Floats) -> Bools:
        """Return bool (n, n_risk_types): which types each sentence states.

        If a sentence's risk score reaches the risk threshold, it states the types that reach their
        thresholds, or the type with the highest score if none does. Otherwise it states none.
        """
        stated = risk_scores(scores) >= self.risk_threshold
        hits = scores >= self.thresholds
        hits &= stated[:, None]
        untyped = np.flatnonzero(stated & ~hits.any(axis=1))
        if untyped.size:  # usually empty; argmax would release the GIL and wait to get it back
            hits[untyped, scores[untyped].argmax(axis=1)] = True
        return np.asarray(hits)
