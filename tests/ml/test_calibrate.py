"""Temperature and operating points find what is known to be there."""

import numpy as np
import pytest

from ml import calibrate
from service.nlp.operating_point import risk_scores
from service.nlp.taxonomy import RISK_TYPES


def drawn(n: int, *, seed: int = 0):
    """Logits, and labels drawn with exactly their probability."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-8.0, 2.6, (n, len(RISK_TYPES))).astype(np.float32)
    p = calibrate.probabilities(logits, 1.0)
    return logits, (rng.random(p.shape) < p).astype(np.float32)


@pytest.mark.parametrize("boldness", [0.5, 1.0, 2.0])
def test_temperature_undoes_the_boldness_of_the_logits(boldness: float):
    logits, y = drawn(1500)
    assert calibrate.fit_temperature(logits * boldness, y) == pytest.approx(boldness, rel=0.1)


def test_balanced_point_separates_what_can_be_separated():
    y = np.zeros((60, 37), np.float32)
    y[:20, 4] = 1.0
    scores = np.where(y > 0, 0.6, 0.004).astype(np.float32)
    point = calibrate.fit_balanced(scores, y)
    assert (point.decide(scores) == (y > 0)).all()


def test_points_keep_what_they_are_named_after():
    logits, y = drawn(1200)
    scores = calibrate.probabilities(logits, 1.0)
    points = calibrate.fit_points(scores, y)
    true = y.any(axis=1)
    stated = {name: point.decide(scores).any(axis=1) for name, point in points.items()}
    assert (stated["recall"] & true).sum() / true.sum() >= calibrate.TARGET
    assert (stated["precision"] & true).sum() / stated["precision"].sum() >= calibrate.TARGET
    assert stated["recall"].sum() > stated["balanced"].sum() > stated["precision"].sum()


def test_precision_that_no_threshold_reaches_takes_the_balanced_one():
    scores = np.full((50, 37), 0.01, np.float32)
    y = np.zeros((50, 37), np.float32)
    y[::5, 3] = 1.0
    points = calibrate.fit_points(scores, y)
    assert points["precision"].risk_threshold >= points["balanced"].risk_threshold


def test_rare_type_keeps_close_to_the_common_threshold():
    rng = np.random.default_rng(1)
    y = np.zeros((400, 37), np.float32)
    y[:100, 0] = 1.0
    y[:2, 1] = 1.0
    scores = rng.uniform(0.0, 0.4, y.shape).astype(np.float32)
    scores[y > 0] = 0.6
    often, rarely = calibrate.by_type(scores, y, 0.18)[:2]
    assert often > rarely > 0.18


def test_cross_fitted_hits_never_use_the_documents_own_labels():
    """Turning one document's labels around leaves its own decisions as they were."""
    logits, y = drawn(120)
    scores = calibrate.probabilities(logits, 1.0)
    docs = [f"d{i % 12}" for i in range(120)]
    own = np.array(docs) == "d3"
    before = calibrate.cross_fitted_hits(scores, y, docs)[own]
    y[own] = 1 - y[own]
    assert (calibrate.cross_fitted_hits(scores, y, docs)[own] == before).all()


def test_calibration_lists_a_threshold_for_every_risk_type_at_every_point():
    logits, y = drawn(120)
    fields = calibrate.calibrate(logits, y).fields()
    assert set(fields["operating_points"]) == {"balanced", "recall", "precision"}
    for point in fields["operating_points"].values():
        assert list(point["thresholds"]) == list(RISK_TYPES)


def test_folds_keep_documents_whole():
    docs = [f"d{i // 3}" for i in range(60)]
    fold = calibrate.folds(docs, 0)
    assert all(len(set(fold[3 * k : 3 * k + 3])) == 1 for k in range(20))
    assert set(fold) == set(range(calibrate.N_FOLDS))


def test_risk_score_orders_as_the_points_decide():
    logits, _ = drawn(200)
    scores = calibrate.probabilities(logits, 1.0)
    point = calibrate.uncalibrated().points["balanced"]
    assert (point.decide(scores).any(axis=1) == (risk_scores(scores) >= 0.5)).all()
