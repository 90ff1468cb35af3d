"""Calibration recovers known temperatures, biases and thresholds."""

import numpy as np
import pytest

from ml.evaluation import calibration
from ml.evaluation.metrics import LEVELS, calibration_error, count, f1
from service.nlp.artifacts.manifest import probabilities
from service.nlp.artifacts.operating_points import OperatingPoint, risk_scores
from service.nlp.taxonomy import RISK_TYPES


def drawn(n: int, *, seed: int = 0):
    """Logits, and labels drawn with exactly their probability."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-8.0, 2.6, (n, len(RISK_TYPES))).astype(np.float32)
    p = probabilities(logits, temperature=1.0, bias=0.0)
    return logits, (rng.random(p.shape) < p).astype(np.float32)


@pytest.mark.parametrize(("boldness", "shift"), [(0.5, 0.0), (1.0, -1.0), (2.0, 1.5)])
def test_fit_scale_recovers_temperature_and_bias(boldness: float, shift: float):
    logits, y = drawn(1500)
    temperature, bias = calibration.fit_scale(logits * boldness + shift, y)
    assert temperature == pytest.approx(boldness, rel=0.1)
    assert bias == pytest.approx(-shift, abs=0.3)


def errors(logits, y, *, temperature: float, bias: float):
    scores = probabilities(logits, temperature=temperature, bias=bias)
    true = y.any(axis=1, keepdims=True).astype(np.float32)
    risk = calibration_error(risk_scores(scores)[:, None], true, least=0.0)
    return risk, calibration_error(scores, y)


def test_fit_scale_calibrates_types_and_risk_of_other_sentences():
    bold, y = drawn(1500)
    temperature, bias = calibration.fit_scale(2 * bold + 1, y)
    others, true = drawn(1500, seed=1)
    assert min(errors(2 * others + 1, true, temperature=1.0, bias=0.0)) > 0.08
    assert max(errors(2 * others + 1, true, temperature=temperature, bias=bias)) < 0.04


def test_fit_scale_without_any_risk_stays_finite():
    logits, y = drawn(50)
    temperature, bias = calibration.fit_scale(logits, np.zeros_like(y))
    assert 0 < temperature < 10
    assert abs(bias) < 10


def test_balanced_point_separates_separable_scores():
    y = np.zeros((60, 37), np.float32)
    y[:20, 4] = 1.0
    scores = np.where(y > 0, 0.6, 0.004).astype(np.float32)
    point = calibration.fit_balanced(scores)
    assert (point.decide(scores) == (y > 0)).all()


def test_points_reach_their_target_recall_and_precision():
    logits, y = drawn(1200)
    scores = probabilities(logits, temperature=1.0, bias=0.0)
    points = calibration.fit_points(scores, y)
    true = y.any(axis=1)
    stated = {name: point.decide(scores).any(axis=1) for name, point in points.items()}
    assert (stated["recall"] & true).sum() / true.sum() >= calibration.TARGET
    assert (stated["precision"] & true).sum() / stated["precision"].sum() >= calibration.TARGET
    assert stated["recall"].sum() > stated["balanced"].sum() > stated["precision"].sum()


def test_precision_point_out_of_reach_uses_the_balanced_threshold():
    scores = np.full((50, 37), 0.01, np.float32)
    y = np.zeros((50, 37), np.float32)
    y[::5, 3] = 1.0
    points = calibration.fit_points(scores, y)
    assert points["precision"].risk_threshold >= points["balanced"].risk_threshold


def counted_quality(hits, y):
    counts = [count(reduce(hits), reduce(y > 0)).sum(axis=(0, 1)) for reduce in LEVELS.values()]
    return np.mean([f1(c) for c in counts])


def test_balanced_point_is_as_good_by_count_as_the_best_of_its_grid():
    logits, y = drawn(3000)
    scores = probabilities(logits, temperature=1.0, bias=0.0)
    found = counted_quality(calibration.fit_balanced(scores).decide(scores), y)
    grid = [
        OperatingPoint(r, np.full(len(RISK_TYPES), t, np.float32))
        for r in np.arange(0.2, 0.81, 0.1)
        for t in np.arange(0.1, 0.61, 0.1)
    ]
    best = max(counted_quality(point.decide(scores), y) for point in grid)
    assert found > best - 0.01


def test_cross_fitted_hits_ignore_the_labels_of_the_own_document():
    """Inverting one document's labels leaves its own decisions unchanged."""
    logits, y = drawn(120)
    scores = probabilities(logits, temperature=1.0, bias=0.0)
    docs = [f"d{i % 12}" for i in range(120)]
    own = np.array(docs) == "d3"
    before = calibration.cross_fitted_hits(scores, y, docs)[own]
    y[own] = 1 - y[own]
    assert (calibration.cross_fitted_hits(scores, y, docs)[own] == before).all()


def test_calibration_lists_a_threshold_for_every_risk_type_at_every_point():
    logits, y = drawn(120)
    fields = calibration.calibrate(logits, y).fields()
    assert set(fields["operating_points"]) == {"balanced", "recall", "precision"}
    for point in fields["operating_points"].values():
        assert list(point["thresholds"]) == list(RISK_TYPES)


def test_folds_keep_documents_whole():
    docs = [f"d{i // 3}" for i in range(60)]
    fold = calibration.folds(docs, 0)
    assert all(len(set(fold[3 * k : 3 * k + 3])) == 1 for k in range(20))
    assert set(fold) == set(range(calibration.N_FOLDS))


def test_risk_threshold_decides_by_the_risk_score():
    logits, _ = drawn(200)
    scores = probabilities(logits, temperature=1.0, bias=0.0)
    point = calibration.uncalibrated().points["balanced"]
    assert (point.decide(scores).any(axis=1) == (risk_scores(scores) >= 0.5)).all()
