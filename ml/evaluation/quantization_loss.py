"""Quantization loss: how F1 of the artifact's integers differs from that of the float32 weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ml.commands import command
from ml.evaluation.metrics import LEVELS, resampled_f1
from ml.evaluation.resampling import Measure, interval
from service.errors import RiskscanError
from service.nlp.arrays import Bools, Floats
from service.nlp.taxonomy import Taxonomy

MAX_DIFFERENCE_POINTS = 0.5
"""One decision in 250: far below what the dev sentences can resolve, above what rounding costs."""

_NUDGES = np.linspace(-0.4, 0.4, 17)
"""Shifts of the logits. At a single threshold the few sentences close to it can move F1 by half a point."""


class FidelityError(RiskscanError):
    """The rounded model decides significantly differently from the trained one."""


def differences(
    shipped: Floats,
    trained: Floats,
    y: Floats,
    docs: Sequence[str],
    decide: Callable[[Floats], Bools],
    *,
    taxonomy: Taxonomy,
) -> dict[str, Measure]:
    """Return micro-F1 by the shipped scores minus that by the trained ones, in points of 100.

    Scores and `y` are float32 (n, n_risk_types), `docs` n names of documents; one value per level:
    risk_f1, category_f1, type_f1, with its 95 % interval over resampled documents. The difference is
    averaged over all logits shifted by each of _NUDGES: a real loss shows at every shift, a sentence that
    happens to cross the threshold only at one.
    """
    keys = [f"{level}_f1" for level in LEVELS]
    values, drawn = dict.fromkeys(keys, 0.0), {key: np.zeros(1) for key in keys}
    for nudge in _NUDGES:
        (ours, ours_drawn), (theirs, theirs_drawn) = (
            resampled_f1(decide(_nudged(scores, nudge)), y, docs, taxonomy=taxonomy)
            for scores in (shipped, trained)
        )
        for key in keys:
            values[key] += 100 * (ours[key] - theirs[key]) / len(_NUDGES)
            drawn[key] = drawn[key] + 100 * (ours_drawn[key] - theirs_drawn[key]) / len(_NUDGES)
    return {key: interval(values[key], drawn[key]) for key in keys}


def _nudged(scores: Floats, nudge: float) -> Floats:
    """Return the scores with `nudge` added to their logits."""
    p = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.asarray(1 / (1 + (1 - p) / p * np.exp(-nudge)), np.float32)


def check(points: Mapping[str, Measure], *, weights: Path) -> None:
    """Refuse a difference by type or category that is significantly above MAX_DIFFERENCE_POINTS.

    Significantly: the whole interval lies beyond. Among a few hundred sentences some fifteen cross a
    threshold either way, which moves F1 by a point by chance.

    Raises:
        FidelityError: the difference is too large; the message names both.
    """
    by_type, by_category = points["type_f1"], points["category_f1"]
    if decides_otherwise(points):
        raise FidelityError(
            f"The artifact was not changed: its F1 differs from that of {weights} by "
            f"{by_type.value:+.2f} points (type) and {by_category.value:+.2f} (category), significantly more "
            f"than {MAX_DIFFERENCE_POINTS}. Export again with `{command('ml', 'export', 'CONFIG')}`; if that "
            "does not help, use more weight_bits."
        )


def decides_otherwise(points: Mapping[str, Measure]) -> bool:
    """Return whether `check` refuses these differences."""
    return (
        max(_certain_difference(points["type_f1"]), _certain_difference(points["category_f1"]))
        > MAX_DIFFERENCE_POINTS
    )


def _certain_difference(difference: Measure) -> float:
    """Return the distance of the interval from zero."""
    return max(difference.low, -difference.high, 0.0)


def sentence(points: Mapping[str, Mapping[str, float]]) -> str:
    """Return the differences in words, for report and model card."""
    risk, category, of_type = (points[f"{level}_f1"]["value"] for level in LEVELS)
    return (
        "Rounded to integers, the model's F1 differs from that of its float32 weights by "
        f"{risk:+.2f}\npoints (risk or no risk), {category:+.2f} (category) "
        f"and {of_type:+.2f} (type), the mean over thresholds around\nthe operating point."
    )
