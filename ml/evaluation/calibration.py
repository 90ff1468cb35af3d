"""Calibration: fit temperature, bias and operating points on labelled sentences.

Temperature and bias make the scores probabilities. Two thresholds, one for any risk and one for a type,
turn them into decisions (operating_points.py). About 200 positive sentences over 37 types are five per type,
so thresholds for each type would fit noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize  # type: ignore[import-untyped]  # no stubs

from ml.evaluation.metrics import LEVELS, level_scores
from service.nlp.arrays import Bools, Doubles, Floats
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.manifest import probabilities
from service.nlp.artifacts.operating_points import OperatingPoint, Sensitivity, risk_scores
from service.nlp.taxonomy import RISK_TYPES

N_FOLDS = 5
TARGET = 0.90
"""Target of the point `recall` (recall of risk) and of the point `precision` (precision of risk)."""
MARGIN = 0.02
"""Added to the target when fitting, since other documents give a little less."""

_TEMPERATURES, _BIASES = (0.25, 4.0), (-4.0, 4.0)
_RISK_WEIGHT = 3.0
"""Weight of the likelihood of risk, which is about a third of that of all types: both then count equally."""
_RISK_THRESHOLDS = np.round(np.arange(0.12, 0.85, 0.02), 4)
_TYPE_THRESHOLDS = np.round(np.arange(0.10, 0.63, 0.02), 4)


@dataclass(frozen=True, slots=True)
class Calibration:
    """`bias` is added to the logits, `temperature` divides them; the points turn scores into decisions."""

    temperature: float
    bias: float
    points: Mapping[Sensitivity, OperatingPoint]

    def fields(self) -> dict[str, Any]:
        """Return temperature, bias and points as the manifest lists them."""
        return {
            "temperature": self.temperature,
            "bias": self.bias,
            "operating_points": {name: _point_fields(p) for name, p in self.points.items()},
        }


def uncalibrated() -> Calibration:
    """Return the identity, which an export has until it is calibrated: all thresholds are 0.5."""
    half = OperatingPoint(0.5, np.full(len(RISK_TYPES), 0.5, np.float32))
    return Calibration(1.0, 0.0, {"balanced": half, "recall": half, "precision": half})


def _point_fields(point: OperatingPoint) -> dict[str, Any]:
    thresholds = [round(float(t), 4) for t in point.thresholds]
    return {
        "risk_threshold": round(point.risk_threshold, 4),
        "thresholds": dict(zip(RISK_TYPES, thresholds, strict=True)),
    }


def fit_scale(logits: Floats, y: Floats) -> tuple[float, float]:
    """Return the temperature and bias that minimise the negative log likelihood of the types and of any risk.

    `logits` and `y` are float32 (n, n_risk_types). Temperature alone (arXiv:1706.04599) calibrated the risk
    score but left the scores of the types too high: several doubtful types add up to one certain risk.
    """
    z, risk = logits.astype(np.float64), np.asarray(y.any(axis=1))

    def loss(scale: npt.NDArray[np.float64]) -> float:
        return _nll((z + scale[1]) / np.exp(scale[0]), y, risk)

    bounds = [np.log(_TEMPERATURES), _BIASES]
    log_temperature, bias = minimize(loss, [0.0, 0.0], method="L-BFGS-B", bounds=bounds).x
    return round(float(np.exp(log_temperature)), 4), round(float(bias), 4)


def _nll(z: npt.NDArray[np.float64], y: Floats, risk: Bools) -> float:
    softplus = np.logaddexp(0.0, z)
    none = np.minimum(-softplus.sum(axis=1), -1e-9)  # log probability that no type is stated
    type_nll = (softplus - y * z).sum(axis=1)
    risk_nll = -np.where(risk, np.log(-np.expm1(none)), none)
    return float((type_nll + _RISK_WEIGHT * risk_nll).mean())


def fit_balanced(scores: Floats) -> OperatingPoint:
    """Return the point of best expected quality over a grid of both thresholds, one for all types.

    Quality is computed from the calibrated scores as probabilities, not from labels. Thresholds that maximise
    F1 on the labels of some 200 positive sentences overfit: on other documents they lost a point of type F1
    against these. Thresholds by type, shrunk towards the common one, gained nothing (November 2026).
    """
    ranked = scores[np.argsort(-risk_scores(scores), kind="stable")]
    surface = np.array([_expected_quality(ranked, t) for t in _TYPE_THRESHOLDS]).T
    row, column = np.unravel_index(int(surface.argmax()), surface.shape)
    return _common(float(_RISK_THRESHOLDS[row]), float(_TYPE_THRESHOLDS[column]))


def _expected_quality(ranked: Floats, threshold: float) -> Doubles:
    """Return the expected mean of the micro-F1 of risk, category and type, (n_risk_thresholds,).

    F1 is taken of the expected counts, at each of _RISK_THRESHOLDS and this threshold of the types.
    `ranked` is (n, n_risk_types) in descending order of risk, so that a risk threshold states the first rows.
    """
    risk = risk_scores(ranked)
    n_stated = [int((risk >= r).sum()) for r in _RISK_THRESHOLDS]
    hits = _common(0.0, threshold).decide(ranked)
    values = []
    for level, hits_at in LEVELS.items():
        p, stated = level_scores(ranked, level).astype(np.float64), hits_at(hits)
        right = np.append(0.0, np.cumsum((p * stated).sum(axis=1)))[n_stated]
        n_hits = np.append(0.0, np.cumsum(stated.sum(axis=1)))[n_stated]
        values.append(2 * right / np.maximum(p.sum() + n_hits, 1e-9))
    return np.asarray(np.mean(values, axis=0))


def _common(risk_threshold: float, threshold: float) -> OperatingPoint:
    return OperatingPoint(risk_threshold, np.full(len(RISK_TYPES), threshold, np.float32))


def fit_recall(scores: Floats, y: Floats, balanced: OperatingPoint) -> OperatingPoint:
    """Return the highest risk threshold that reaches the target recall; the types keep their thresholds."""
    true_risks = np.sort(risk_scores(scores)[y.any(axis=1)])
    n_missed = int((1 - TARGET - MARGIN) * len(true_risks))
    threshold = float(true_risks[n_missed]) if len(true_risks) else balanced.risk_threshold
    return _at(balanced, min(threshold, balanced.risk_threshold))


def fit_precision(scores: Floats, y: Floats, balanced: OperatingPoint) -> OperatingPoint:
    """Return the lowest risk threshold above which the precision reaches the target."""
    risk = risk_scores(scores)
    order = np.argsort(-risk, kind="stable")
    right = np.asarray(y.any(axis=1))[order]
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    good = np.flatnonzero(precision >= TARGET + MARGIN)
    threshold = float(risk[order[good[-1]]]) if len(good) else balanced.risk_threshold
    return _at(balanced, max(threshold, balanced.risk_threshold))


def _at(point: OperatingPoint, risk_threshold: float) -> OperatingPoint:
    return OperatingPoint(float(np.clip(risk_threshold, 0.01, 0.99)), point.thresholds)


def fit_points(scores: Floats, y: Floats) -> dict[Sensitivity, OperatingPoint]:
    """Fit the three operating points on the same sentences."""
    balanced = fit_balanced(scores)
    return {
        "balanced": balanced,
        "recall": fit_recall(scores, y, balanced),
        "precision": fit_precision(scores, y, balanced),
    }


def calibrate(logits: Floats, y: Floats) -> Calibration:
    """Fit temperature and bias, then the points, on the same sentences."""
    temperature, bias = fit_scale(logits, y)
    scores = probabilities(logits, temperature=temperature, bias=bias)
    return Calibration(temperature, bias, fit_points(scores, y))


def cross_fitted_hits(
    scores: Floats,
    y: Floats,
    docs: Sequence[str],
    *,
    seed: int = 0,
    sensitivity: Sensitivity = "balanced",
) -> Bools:
    """Return the decisions with each document's point fitted on the other folds' documents.

    A point measured on the sentences that it was fitted on would look too good.
    """
    fold = folds(docs, seed)
    hits = np.zeros(scores.shape, dtype=np.bool_)
    for k in range(N_FOLDS):
        held_out = fold == k
        if held_out.any():
            point = fit_points(scores[~held_out], y[~held_out])[sensitivity]
            hits[held_out] = point.decide(scores[held_out])
    return hits


def folds(docs: Sequence[str], seed: int) -> npt.NDArray[np.intp]:
    """Return the fold of each sentence, (n,) in 0 to N_FOLDS - 1; a document is in one fold."""
    names, index = np.unique(np.asarray(docs), return_inverse=True)
    return np.asarray(np.random.default_rng(seed).permutation(len(names))[index] % N_FOLDS)


def calibration_in(path: Path) -> Calibration:
    """Return the calibration of the artifact in the folder `path`.

    Raises:
        ArtifactError: there is none, or it was altered.
    """
    manifest = artifacts.load(path).manifest
    return Calibration(manifest.temperature, manifest.bias, manifest.operating_points)
