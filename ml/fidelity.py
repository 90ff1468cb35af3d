"""How far the artifact's integers decide otherwise than the float32 weights they were rounded from."""

from __future__ import annotations

from collections.abc import Mapping
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


def differences(shipped: Bools, trained: Bools, y: Floats) -> dict[str, float]:
    """Return micro-F1 of the shipped decisions minus that of the trained ones, in points of 100.

    All are (n, n_risk_types); one value per level: risk_f1, category_f1, type_f1.
    """
    return {
        f"{level}_f1": 100 * (micro_f1(shipped, y, level) - micro_f1(trained, y, level))
        for level in LEVELS
    }


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
        "Rounded to integers, at the same threshold, the model's F1 differs from that of its float32 "
        f"weights\nby {points['risk_f1']:+.2f} points (risk or no risk), "
        f"{points['category_f1']:+.2f} (category) and {points['type_f1']:+.2f} (type)."
    )
