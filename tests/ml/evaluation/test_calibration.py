"""Calibration recovers known temperatures, biases and thresholds."""

import numpy as np
import pytest

from ml.evaluation import calibration
from ml.evaluation.metrics import LEVELS, at_level, calibration_error, count, f1
from service.nlp.artifacts.manifest import probabilities
from service.nlp.artifacts.operating_points import OperatingPoint, risk_scores
from service.nlp.taxonomy import built_in

RISK_TYPES = built_in().risk_types


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
    point = calibration.fit_balanced(scores, taxonomy=built_in())
    assert (point.decide(scores) == (y > 0)).all()


def test_points_reach_their_target_recall_and_precision():
    logits, y = drawn(20_000)
    scores = probabilities(logits, temperature=1.0, bias=0.0)
    points = calibration.fit_points(scores, y, taxonomy=built_in())
    true = y.any(axis=1)
    stated = {name: point.decide(scores).any(axis=1) for name, point in points.items()}
    assert (stated["recall"] & true).sum() / true.sum() >= calibration.TARGET
    assert (stated["precision"] & true).sum() / stated["precision"].sum() >= calibration.TARGET
    assert stated["recall"].sum() > stated["balanced"].sum() > stated["precision"].sum()


def test_precision_point_out_of_reach_uses_the_balanced_threshold():
    scores = np.full((50, 37), 0.01, np.float32)
    y = np.zeros((50, 37), np.float32)
    y[::5, 3] = 1.0
    points = calibration.fit_points(scores, y, taxonomy=built_in())
    assert points["precision"].risk_threshold >= points["balanced"].risk_threshold


def counted_quality(hits, y):
    counts = []
    for level in LEVELS:
        ours, true = (at_level(x, level, taxonomy=built_in()) for x in (hits, y > 0))
        counts.append(count(ours, true).sum(axis=(0, 1)))
    return np.mean([f1(c) for c in counts])


def test_balanced_point_is_as_good_by_count_as_the_best_of_its_grid():
    logits, y = drawn(3000)
    scores = probabilities(logits, temperature=1.0, bias=0.0)
    found = counted_quality(calibration.fit_balanced(scores, taxonomy=built_in()).decide(scores), y)
    grid = [
        OperatingPoint(r, np.full(len(RISK_TYPES), t, np.float32))
        for r in np.arange(0.2, 0.81, 0.1)
        for t in np.arange(0.1, 0.61, 0.1)
    ]
    best = max(counted_quality(point.decide(scores), y) for point in grid)
    assert found > best - 0.01


def test_calibration_lists_a_threshold_for_every_risk_type_at_every_point():
    logits, y = drawn(120)
    fields = calibration.calibrate(logits, y, taxonomy=built_in()).fields(RISK_TYPES)
    assert set(fields["operating_points"]) == {"balanced", "recall", "precision"}
    for point in fields["operating_points"].values():
        assert list(point["thresholds"]) == list(RISK_TYPES)


def two_sets():
    """Sentences of one type; the scores of the second set are worth less, and its risks score lower."""
    rng = np.random.default_rng(3)
    y, scores = np.zeros((800, 37), np.float32), np.zeros((800, 37), np.float32)
    y[::2, 0] = 1
    mean = np.where(y[:, 0] > 0, np.repeat([0.8, 0.45], 400), np.repeat([0.2, 0.3], 400))
    scores[:, 0] = np.clip(mean + rng.normal(0, 0.1, 800), 0.01, 0.99)
    return scores, y, ["easy"] * 400 + ["hard"] * 400


def rates(point, scores, y, rows):
    stated, true = point.decide(scores[rows]).any(axis=1), y[rows].any(axis=1)
    return (stated & true).sum() / true.sum(), (stated & true).sum() / stated.sum()


HARD, EASY = slice(400, 800), slice(0, 400)


def test_recall_point_reaches_its_target_in_the_harder_set():
    scores, y, sets = two_sets()
    balanced = calibration.fit_balanced(scores, taxonomy=built_in())
    together = calibration.fit_recall(scores, y, balanced)
    of_each = calibration.fit_recall(scores, y, balanced, sets)
    assert rates(together, scores, y, HARD)[0] < calibration.TARGET
    assert rates(of_each, scores, y, HARD)[0] == pytest.approx(0.92, abs=0.01)
    assert rates(of_each, scores, y, EASY)[0] > rates(of_each, scores, y, HARD)[0]


def test_precision_point_reaches_its_target_in_the_harder_set():
    scores, y, sets = two_sets()
    balanced = calibration.fit_balanced(scores, taxonomy=built_in())
    together = calibration.fit_precision(scores, y, balanced)
    of_each = calibration.fit_precision(scores, y, balanced, sets)
    assert rates(together, scores, y, HARD)[1] < calibration.TARGET
    assert rates(of_each, scores, y, HARD)[1] == pytest.approx(0.92, abs=0.01)


def test_precision_point_out_of_reach_of_a_set_keeps_enough_right_findings():
    scores, y, sets = two_sets()
    y[HARD, 0] = np.random.default_rng(0).random(400) < scores[HARD, 0] / 2
    point = calibration.fit_precision(
        scores, y, calibration.fit_balanced(scores, taxonomy=built_in()), sets
    )
    recall, precision = rates(point, scores, y, HARD)
    assert recall * y[HARD].sum() >= min(calibration.LEAST_FOUND, 0.2 * y[HARD].sum()) - 1e-6
    assert precision < calibration.TARGET


def test_set_without_any_risk_changes_no_point():
    scores, y, sets = two_sets()
    y[HARD] = 0
    alone = calibration.fit_points(scores[EASY], y[EASY], taxonomy=built_in())
    balanced = alone["balanced"]
    for fit, name in ((calibration.fit_recall, "recall"), (calibration.fit_precision, "precision")):
        point = fit(scores, y, balanced, sets)
        assert point.risk_threshold == pytest.approx(alone[name].risk_threshold, abs=0.02)


def test_risk_threshold_decides_by_the_risk_score():
    logits, _ = drawn(200)
    scores = probabilities(logits, temperature=1.0, bias=0.0)
    point = calibration.uncalibrated(len(RISK_TYPES)).points["balanced"]
    assert (point.decide(scores).any(axis=1) == (risk_scores(scores) >= 0.5)).all()
