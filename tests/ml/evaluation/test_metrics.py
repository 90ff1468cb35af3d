"""Metrics on arrays small enough to check by hand."""

import numpy as np
import pytest

from ml.evaluation import metrics
from service.nlp.taxonomy import built_in

CATEGORIES = built_in().category_keys
RISK_TYPES = built_in().risk_types


def hits(*rows):
    """One row per sentence: the risk types it has."""
    return np.array([[r in row for r in RISK_TYPES] for row in rows])


TRUE = hits({"outage"}, {"tight-budget"}, {"defects"}, set())
FOUND = hits({"outage"}, {"cost-overrun"}, set(), {"defects"})


def test_f1_measures_by_hand():
    found = metrics.f1_measures(FOUND, TRUE.astype(np.float32), list("abcd"), taxonomy=built_in())
    assert found["risk_f1"].value == pytest.approx(2 / 3)  # two of three found, one false alarm
    assert found["category_f1"].value == pytest.approx(4 / 6)  # cost-overrun is of budget, too
    assert found["type_f1"].value == pytest.approx(2 / 6)  # only the outage is right


def test_f1_without_any_positive_is_zero():
    nothing = np.zeros((1, 37), np.float32)
    assert (
        metrics.f1_measures(nothing > 0, nothing, ["a"], taxonomy=built_in())["type_f1"].value
        == 0.0
    )


def test_f1_measures_of_a_perfect_model_have_no_spread():
    found = metrics.f1_measures(
        TRUE, TRUE.astype(np.float32), ["a", "a", "b", "b"], taxonomy=built_in()
    )
    assert all((m.value, m.low, m.high) == (1.0, 1.0, 1.0) for m in found.values())


def test_interval_covers_the_value_and_repeats():
    docs = list("abcd")
    one, two = (
        metrics.f1_measures(FOUND, TRUE.astype(np.float32), docs, taxonomy=built_in())
        for _ in range(2)
    )
    assert one == two
    assert one["risk_f1"].low <= one["risk_f1"].value <= one["risk_f1"].high


def test_macro_f1_leaves_out_categories_that_do_not_occur():
    found = metrics.f1_measures(FOUND, TRUE.astype(np.float32), list("abcd"), taxonomy=built_in())
    assert found["category_macro_f1"].value == pytest.approx((1 + 1 + 0) / 3)


def test_average_precision_by_hand():
    score = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    found = metrics.average_precision(score, np.array([True, False, True, False]))
    assert found == pytest.approx((1 / 1 + 2 / 3) / 2)


def test_average_precision_of_equal_scores_does_not_depend_on_their_order():
    score = np.array([0.5, 0.5, 0.5, 0.5], np.float32)
    for true in ([True, False, False, False], [False, False, False, True]):
        assert metrics.average_precision(score, np.array(true)) == pytest.approx(0.25)


def test_ranking_measures_agree_with_average_precision():
    rng = np.random.default_rng(1)
    y = (rng.random((80, 37)) < 0.05).astype(np.float32)
    scores = np.clip(0.4 * y + 0.5 * rng.random(y.shape), 0, 1).astype(np.float32)
    found = metrics.ranking_measures(
        scores, y, [f"d{i // 4}" for i in range(80)], taxonomy=built_in()
    )
    of_types = metrics.average_precision(scores.ravel(), y.ravel() > 0)
    assert found["type_average_precision"].value == pytest.approx(of_types)
    assert all(m.low <= m.value <= m.high for m in found.values())


def test_precision_at_recall_takes_the_best_sufficient_threshold():
    y = np.zeros((10, 37), np.float32)
    y[[0, 1, 2, 3, 5], 0] = 1
    scores = np.zeros((10, 37), np.float32)
    scores[:, 0] = np.linspace(0.9, 0.1, 10)  # the fifth is the one false alarm above the last risk
    found = metrics.ranking_measures(scores, y, [f"d{i}" for i in range(10)], taxonomy=built_in())
    assert found["risk_precision_at_recall_80"].value == pytest.approx(4 / 4)
    assert found["risk_precision_at_recall_90"].value == pytest.approx(5 / 6)


def test_category_score_is_the_probability_of_any_of_its_types():
    scores = np.zeros((1, 37), np.float32)
    scores[0, [RISK_TYPES.index("tight-budget"), RISK_TYPES.index("cost-overrun")]] = 0.5, 0.2
    found = metrics.category_scores(scores, taxonomy=built_in())
    assert found[0, CATEGORIES.index("budget")] == pytest.approx(0.6)
    assert found.sum() == pytest.approx(0.6)


def test_calibration_error_by_hand_leaves_out_low_scores():
    scores = np.array([[0.75, 0.75, 0.01]], np.float32)
    y = np.array([[1.0, 0.0, 1.0]], np.float32)
    assert metrics.calibration_error(scores, y) == pytest.approx(0.25)
