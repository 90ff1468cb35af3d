"""Calibration: fit temperature, bias and operating points on labelled sentences.

Temperature and bias make the scores probabilities. Two thresholds, one for any risk and one for a type,
turn them into decisions (operating_points.py). About 200 positive sentences over 37 types are five per type,
so thresholds for each type would fit noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize  # type: ignore[import-untyped]  # no stubs

from ml.evaluation.metrics import LEVELS, at_level, level_scores
from service.errors import ConfigError
from service.nlp.arrays import Bools, Doubles, Floats
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.manifest import probabilities
from service.nlp.artifacts.operating_points import OperatingPoint, Sensitivity, risk_scores
from service.nlp.taxonomy import Taxonomy

TARGET = 0.90
"""Target of the point `recall` (recall of risk) and of the point `precision` (precision of risk)."""
MARGIN = 0.02
"""Added to the target when fitting, since other documents give a little less."""
LEAST_FOUND = 40
"""Right findings in each set that the point `precision` keeps."""

_TEMPERATURES, _BIASES = (0.25, 4.0), (-4.0, 4.0)
_RISK_WEIGHT = 1.0
"""Weight of the likelihood of risk beside that of all types. 1 keeps the calibration errors of risk and of
types within 0.05 for both shipped models (November 2026)."""
_RISK_THRESHOLDS = np.round(np.arange(0.12, 0.85, 0.02), 4)
_TYPE_THRESHOLDS = np.round(np.arange(0.10, 0.63, 0.02), 4)


@dataclass(frozen=True, slots=True)
class Calibration:
    """`bias` is added to the logits, `temperature` divides them; the points turn scores into decisions."""

    temperature: float
    bias: float
    points: Mapping[Sensitivity, OperatingPoint]

    def fields(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return temperature, bias and points as the manifest lists them; `labels` are the risk types."""
        return {
            "temperature": self.temperature,
            "bias": self.bias,
            "operating_points": {name: _point_fields(p, labels) for name, p in self.points.items()},
        }


def uncalibrated(n_types: int) -> Calibration:
    """Return the identity, which an export has until it is calibrated: all thresholds are 0.5."""
    half = OperatingPoint(0.5, np.full(n_types, 0.5, np.float32))
    return Calibration(1.0, 0.0, {"balanced": half, "recall": half, "precision": half})


def _point_fields(point: OperatingPoint, labels: Sequence[str]) -> dict[str, Any]:
    thresholds = [round(float(t), 4) for t in point.thresholds]
    return {
        "risk_threshold": round(point.risk_threshold, 4),
        "thresholds": dict(zip(labels, thresholds, strict=True)),
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


def fit_balanced(scores: Floats, *, taxonomy: Taxonomy) -> OperatingPoint:
    """Return the point of best expected quality over a grid of both thresholds, one for all types.

    Quality is computed from the calibrated scores as probabilities, not from labels. Thresholds that maximise
    F1 on the labels of some 200 positive sentences overfit: on other documents they lost a point of type F1
    against these. Thresholds by type, shrunk towards the common one, gained nothing (November 2026).
    """
    ranked = scores[np.argsort(-risk_scores(scores), kind="stable")]
    surface = np.array([_expected_quality(ranked, t, taxonomy) for t in _TYPE_THRESHOLDS]).T
    row, column = np.unravel_index(int(surface.argmax()), surface.shape)
    n_types = scores.shape[1]
    return _common(float(_RISK_THRESHOLDS[row]), float(_TYPE_THRESHOLDS[column]), n_types)


def _expected_quality(ranked: Floats, threshold: float, taxonomy: Taxonomy) -> Doubles:
    """Return the expected mean of the micro-F1 of risk, category and type, (n_risk_thresholds,).

    F1 is taken of the expected counts, at each of _RISK_THRESHOLDS and this threshold of the types.
    `ranked` is (n, n_risk_types) in descending order of risk, so that a risk threshold states the first rows.
    """
    risk = risk_scores(ranked)
    n_stated = [int((risk >= r).sum()) for r in _RISK_THRESHOLDS]
    hits = _common(0.0, threshold, ranked.shape[1]).decide(ranked)
    values = []
    for level in LEVELS:
        p = level_scores(ranked, level, taxonomy=taxonomy).astype(np.float64)
        stated = at_level(hits, level, taxonomy=taxonomy)
        right = np.append(0.0, np.cumsum((p * stated).sum(axis=1)))[n_stated]
        n_hits = np.append(0.0, np.cumsum(stated.sum(axis=1)))[n_stated]
        values.append(2 * right / np.maximum(p.sum() + n_hits, 1e-9))
    return np.asarray(np.mean(values, axis=0))


def _common(risk_threshold: float, threshold: float, n_types: int) -> OperatingPoint:
    return OperatingPoint(risk_threshold, np.full(n_types, threshold, np.float32))


def fit_recall(
    scores: Floats, y: Floats, balanced: OperatingPoint, sets: Sequence[str] = ()
) -> OperatingPoint:
    """Return the highest risk threshold that reaches the target recall in every set.

    The types keep their thresholds. `sets` names each sentence's set; without it all are one. The set whose
    risks score lowest decides: it gets the target, the others get more.
    """
    thresholds = [_recall_threshold(risk, true) for risk, true in _by_set(scores, y, sets)]
    return _at(balanced, min([balanced.risk_threshold, *thresholds]))


def _recall_threshold(risk: Floats, true: Bools) -> float:
    """Return the highest threshold at which the recall of one set reaches the target; 1 without a risk."""
    true_risks = np.sort(risk[true])
    n_missed = int((1 - TARGET - MARGIN) * len(true_risks))
    return float(true_risks[n_missed]) if len(true_risks) else 1.0


def fit_precision(
    scores: Floats, y: Floats, balanced: OperatingPoint, sets: Sequence[str] = ()
) -> OperatingPoint:
    """Return the lowest risk threshold above which the precision reaches the target in every set.

    If a set never reaches it, return the threshold at which the set with the lowest precision comes nearest.
    Only thresholds count at which every set has LEAST_FOUND right findings, or a fifth of its risks if
    these are fewer: the precision of a few findings is chance.
    """
    grid = np.unique(risk_scores(scores))
    short, allowed = np.zeros(len(grid)), np.ones(len(grid), np.bool_)
    for risk, true in _by_set(scores, y, sets):
        n_right, precision = _right_findings(risk, true, grid)
        if true.any():
            short = np.maximum(short, TARGET + MARGIN - precision)
            allowed &= n_right >= min(LEAST_FOUND, 0.2 * int(true.sum()))
    usable = np.flatnonzero(allowed)
    nearest = usable[short[usable] <= short[usable].min() + 1e-9][0]
    return _at(balanced, max(float(grid[nearest]), balanced.risk_threshold))


def _right_findings(risk: Floats, true: Bools, grid: Floats) -> tuple[Doubles, Doubles]:
    """Return number and share of the right findings of one set at each threshold, (n_thresholds,) each."""
    n_stated = len(risk) - np.searchsorted(np.sort(risk), grid)
    n_right = np.asarray(int(true.sum()) - np.searchsorted(np.sort(risk[true]), grid), np.float64)
    return n_right, np.asarray(n_right / np.maximum(n_stated, 1))


def _by_set(scores: Floats, y: Floats, sets: Sequence[str]) -> Iterator[tuple[Floats, Bools]]:
    """Yield the risk scores of each set, and which of its sentences state a risk."""
    risk, true = risk_scores(scores), np.asarray(y.any(axis=1))
    names = np.asarray(sets) if len(sets) else np.zeros(len(scores))
    for name in np.unique(names):
        yield risk[names == name], true[names == name]


def _at(point: OperatingPoint, risk_threshold: float) -> OperatingPoint:
    return OperatingPoint(float(np.clip(risk_threshold, 0.01, 0.99)), point.thresholds)


def fit_points(
    scores: Floats, y: Floats, sets: Sequence[str] = (), *, taxonomy: Taxonomy
) -> dict[Sensitivity, OperatingPoint]:
    """Fit the three operating points on the same sentences; `sets` names the set of each, see fit_recall.

    `balanced` is chosen on all sentences together. `recall` and `precision` promise their target on each
    set, so the set that makes it harder decides.
    """
    balanced = fit_balanced(scores, taxonomy=taxonomy)
    return {
        "balanced": balanced,
        "recall": fit_recall(scores, y, balanced, sets),
        "precision": fit_precision(scores, y, balanced, sets),
    }


def calibrate(
    logits: Floats, y: Floats, sets: Sequence[str] = (), *, taxonomy: Taxonomy
) -> Calibration:
    """Fit temperature and bias on all sentences, then the points; `sets` names the set of each."""
    temperature, bias = fit_scale(logits, y)
    scores = probabilities(logits, temperature=temperature, bias=bias)
    return Calibration(temperature, bias, fit_points(scores, y, sets, taxonomy=taxonomy))


def calibration_in(path: Path, *, labels: Sequence[str]) -> Calibration:
    """Return the calibration of the artifact in the folder `path`, for a model with these risk types.

    Raises:
        ArtifactError: there is none, or it was altered.
        ConfigError: the artifact has other risk types.
    """
    manifest = artifacts.load(path).manifest
    if manifest.labels != tuple(labels):
        raise ConfigError(
            f"[artifact] calibration_of: the model in {path} has other risk types; leave it empty."
        )
    return Calibration(manifest.temperature, manifest.bias, manifest.operating_points)
