"""Measures on arrays small enough to check by hand."""

import numpy as np
import pytest

from ml import metrics
from service.nlp.taxonomy import RISK_TYPES


def hits(*rows):
    """One row per sentence: the risk types it has."""
    return np.array([[r in row for r in RISK_TYPES] for row in rows])


TRUE = hits({"outage"}, {"tight-budget"}, {"defects"}, set())
FOUND = hits({"outage"}, {"cost-overrun"}, set(), {"defects"})


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("risk", 2 / 3),  # two of three sentences found, one false alarm
        ("category", 4 / 6),  # cost-overrun and tight-budget are both of budget
        ("type", 2 / 6),  # only the outage is right
    ],
)
def test_micro_f1_at_each_level(level: str, expected: float):
    assert metrics.micro_f1(FOUND, TRUE.astype(np.float32), level) == pytest.approx(expected)


def test_f1_of_nothing_to_find_and_nothing_found_is_zero():
    assert metrics.micro_f1(hits(set()), np.zeros((1, 37), np.float32), "type") == 0.0


def test_f1_measures_of_a_perfect_model_have_no_spread():
    found = metrics.f1_measures(TRUE, TRUE.astype(np.float32), ["a", "a", "b", "b"])
    assert all((m.value, m.low, m.high) == (1.0, 1.0, 1.0) for m in found.values())


def test_interval_covers_the_value_and_repeats():
    docs = list("abcd")
    one, two = (metrics.f1_measures(FOUND, TRUE.astype(np.float32), docs) for _ in range(2))
    assert one == two
    assert one["risk_f1"].low <= one["risk_f1"].value <= one["risk_f1"].high


def test_macro_f1_leaves_out_categories_that_do_not_occur():
    found = metrics.f1_measures(FOUND, TRUE.astype(np.float32), list("abcd"))
    assert found["category_macro_f1"].value == pytest.approx((1 + 1 + 0) / 3)


def test_average_precision_by_hand():
    score = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    found = metrics.average_precision(score, np.array([True, False, True, False]))
    assert found == pytest.approx((1 / 1 + 2 / 3) / 2)


def test_calibration_error_by_hand_leaves_out_low_scores():
    scores = np.array([[0.75, 0.75, 0.01]], np.float32)
    y = np.array([[1.0, 0.0, 1.0]], np.float32)
    assert metrics.calibration_error(scores, y) == pytest.approx(0.25)
