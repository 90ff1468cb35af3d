"""How far the artifact's integers decide otherwise than the float32 weights they were rounded from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ml.metrics import LEVELS, micro_f1
from service.errors import RiskscanError
from service.nlp.encoder import RiskEncoder
from service.nlp.engines import Engine

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

MAX_DIFFERENCE_POINTS = 0.5
"""About a decision in 250: far less than the dev sentences can tell apart, more than rounding needs."""

_NUDGES = np.linspace(-0.4, 0.4, 17)
"""Logits. At one threshold the few sentences that happen to lie at it make or break half a point."""


class FidelityError(RiskscanError):
    """The rounded model decides otherwise than the trained one."""


class FloatEngine(Engine):
    """The float32 weights of a run in torch, on the CPU."""

    device = "cpu"

    def __init__(self, model: RiskEncoder) -> None:
        self._model = model.eval()

    def logits(self, input_ids: Ints, attention_mask: Ints) -> Floats:
        with torch.inference_mode():
            out: Floats = self._model(
                torch.from_numpy(input_ids), torch.from_numpy(attention_mask)
            ).numpy()
        return out


def differences(
    shipped: Floats, trained: Floats, y: Floats, decide: Callable[[Floats], Bools]
) -> dict[str, float]:
    """Return micro-F1 by the shipped scores minus that by the trained ones, in points of 100.

    Scores and `y` are float32 (n, n_risk_types); one value per level: risk_f1, category_f1, type_f1.
    Both are decided with all scores raised and lowered alike by each of _NUDGES, and the differences
    averaged: rounding that costs quality costs it all along, while a sentence or two that cross the
    threshold by accident do so at one place.
    """
    gaps = [
        {level: micro_f1(a, y, level) - micro_f1(b, y, level) for level in LEVELS}
        for nudge in _NUDGES
        for a, b in [(decide(_nudged(shipped, nudge)), decide(_nudged(trained, nudge)))]
    ]
    return {f"{level}_f1": 100 * float(np.mean([g[level] for g in gaps])) for level in LEVELS}


def _nudged(scores: Floats, nudge: float) -> Floats:
    """Return the scores with `nudge` added to their logits."""
    p = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.asarray(1 / (1 + (1 - p) / p * np.exp(-nudge)), np.float32)


def check(points: Mapping[str, float], *, weights: Path) -> None:
    """Refuse differences at the level of types or categories above MAX_DIFFERENCE_POINTS.

    Raises:
        FidelityError: naming both differences.
    """
    by_type, by_category = points["type_f1"], points["category_f1"]
    if max(abs(by_type), abs(by_category)) > MAX_DIFFERENCE_POINTS:
        raise FidelityError(
            f"The artifact was not changed: its F1 differs from that of {weights} by {by_type:+.2f} "
            f"points (type) and {by_category:+.2f} (category), more than {MAX_DIFFERENCE_POINTS}. "
            "Export again with `python -m ml.export`; if that does not help, with more weight_bits."
        )


def sentence(points: Mapping[str, Any]) -> str:
    """Say the differences in words, for report and model card."""
    return (
        "Rounded to integers, the model's F1 differs from that of its float32 weights by "
        f"{points['risk_f1']:+.2f}\npoints (risk or no risk), {points['category_f1']:+.2f} (category) "
        f"and {points['type_f1']:+.2f} (type), the mean over thresholds around\nthe operating point."
    )
