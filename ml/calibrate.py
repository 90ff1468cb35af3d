"""Temperature and threshold: one number each, chosen on the dev sentences.

Some 200 positive sentences over 37 types leave five a type: thresholds of each type would fit noise, so
one threshold serves all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.metrics import LEVELS, micro_f1
from service.nlp.taxonomy import RISK_TYPES

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

_TEMPERATURES = np.geomspace(0.25, 4.0, 161)
_THRESHOLDS = np.linspace(0.01, 0.80, 159)
_N_FOLDS = 5
SLACK = 0.005
"""A difference of F1 far below what the dev sentences can tell: their 95 % interval spans 0.12."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """`temperature` divides the logits; `threshold` in (0, 1) holds for every type."""

    temperature: float
    threshold: float

    def thresholds(self) -> dict[str, float]:
        """Return the threshold of each risk type, as the manifest lists them."""
        return dict.fromkeys(RISK_TYPES, self.threshold)


def probabilities(logits: Floats, temperature: float) -> Floats:
    """Return the sigmoid of the divided logits, float32 in [0, 1]."""
    return (0.5 * (1.0 + np.tanh(logits.astype(np.float64) / (2 * temperature)))).astype(np.float32)


def fit_temperature(logits: Floats, y: Floats) -> float:
    """Return the temperature of least negative log likelihood (arXiv:1706.04599), on a grid.

    `logits` and `y` are float32 (n, n_risk_types).
    """
    losses = [_nll(logits.astype(np.float64) / t, y) for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def _nll(z: npt.NDArray[np.float64], y: Floats) -> float:
    return float((np.logaddexp(0.0, z) - y * z).mean())


def fit_threshold(scores: Floats, y: Floats) -> float:
    """Return the highest threshold whose quality is within SLACK of the best: of equals, fewer alarms.

    The curve is jagged with few sentences, so it is smoothed over neighbouring thresholds first.
    """
    curve = np.array([quality(scores >= t, y) for t in _THRESHOLDS])
    smooth = np.convolve(np.pad(curve, 5, mode="edge"), np.full(11, 1 / 11), mode="valid")
    good = np.flatnonzero(smooth >= smooth.max() - SLACK)
    return float(_THRESHOLDS[good[-1]])


def quality(hits: Bools, y: Floats) -> float:
    """Return the mean of the three micro-F1 values: what the threshold is chosen by."""
    return float(np.mean([micro_f1(hits, y, level) for level in LEVELS]))


def calibrate(logits: Floats, y: Floats) -> Calibration:
    """Fit the temperature, then the threshold, on the same sentences."""
    temperature = fit_temperature(logits, y)
    return Calibration(temperature, round(fit_threshold(probabilities(logits, temperature), y), 4))


def cross_fitted_hits(scores: Floats, y: Floats, docs: Sequence[str], *, seed: int = 0) -> Bools:
    """Return the decisions where each document's threshold was chosen on the other folds' documents.

    What a threshold chosen on the very sentences it is measured on flatters, this does not.
    """
    names, index = np.unique(np.asarray(docs), return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(names))[index] % _N_FOLDS
    hits = np.zeros(scores.shape, dtype=np.bool_)
    for k in range(_N_FOLDS):
        here = fold == k
        hits[here] = scores[here] >= fit_threshold(scores[~here], y[~here])
    return hits
