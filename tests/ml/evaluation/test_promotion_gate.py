"""Which candidates the promotion gate accepts, and its reasons against the others."""

import numpy as np
import pytest

from ml.evaluation.paired_comparison import Difference
from ml.evaluation.promotion_gate import CategoryFigures, Figures, Limits, Scored, measure, refusals
from service.nlp.taxonomy import built_in

CATEGORIES = built_in().category_keys
RISK_TYPES = built_in().risk_types

BETTER = Difference(value=0.04, low=0.01, high=0.07, p_better=0.99)


def figures(mean=BETTER, *, calibration_errors=(0.04, 0.04), **category):
    """Figures with equal categories except the first; calibration errors of candidate and serving model."""
    measured = {c: CategoryFigures(30, 0.5, 0.5, -0.02, 0.02) for c in CATEGORIES}
    if category:
        measured[CATEGORIES[0]] = CategoryFigures(serving_f1=0.5, low=-0.2, **category)
    return Figures(600, 60, {"mean_f1": mean}, measured, *calibration_errors)


def test_gate_significantly_better_model_passes():
    assert refusals(figures(), taxonomy=built_in()) == []


@pytest.mark.parametrize(("low", "n_reasons"), [(-0.019, 0), (-0.02, 1)])
def test_gate_possible_loss_of_two_points_is_refused(low, n_reasons):
    mean = Difference(value=0.0, low=low, high=0.019, p_better=0.5)
    assert len(refusals(figures(mean), taxonomy=built_in())) == n_reasons


def test_gate_without_allowed_loss_refuses_an_interval_that_includes_zero():
    mean = Difference(value=0.02, low=0.0, high=0.05, p_better=0.97)
    [reason] = refusals(figures(mean), Limits(max_loss=0), taxonomy=built_in())
    assert "+2.0 points" in reason
    assert "[+0.0, +5.0]" in reason


@pytest.mark.parametrize(("asked", "n_reasons"), [(0.95, 0), (0.98, 1)])
def test_gate_with_min_probability_ignores_the_interval(asked, n_reasons):
    mean = Difference(value=0.02, low=-0.01, high=0.05, p_better=0.97)
    assert (
        len(refusals(figures(mean), Limits(min_probability=asked), taxonomy=built_in()))
        == n_reasons
    )


@pytest.mark.parametrize(
    ("support", "candidate_f1", "high", "is_refused"),
    [
        (20, 0.46, -0.01, True),
        (20, 0.48, -0.01, False),
        (19, 0.1, -0.3, False),
        (20, 0.4, 0, False),
    ],
    ids=["loses four points", "loses two points", "too few to tell", "maybe by chance"],
)
def test_gate_significant_loss_of_a_category_is_refused(support, candidate_f1, high, is_refused):
    measured = figures(support=support, candidate_f1=candidate_f1, high=high)
    assert bool(refusals(measured, taxonomy=built_in())) is is_refused


@pytest.mark.parametrize(
    ("candidate", "serving", "is_refused"),
    [(0.05, 0.01, False), (0.051, 0.01, True), (0.079, 0.079, False), (0.1, 0.079, True)],
    ids=["well enough", "above both bars", "as the serving one", "worse than the serving one"],
)
def test_gate_calibration_limit_follows_the_serving_model(candidate, serving, is_refused):
    reasons = refusals(figures(calibration_errors=(candidate, serving)), taxonomy=built_in())
    assert [f"is {serving:.3f} on the same" in reason for reason in reasons] == [True] * is_refused


def test_gate_lists_every_reason():
    worse = Difference(value=-0.1, low=-0.2, high=-0.05, p_better=0.0)
    measured = figures(
        worse, calibration_errors=(0.2, 0.1), support=50, candidate_f1=0.1, high=-0.3
    )
    assert len(refusals(measured, taxonomy=built_in())) == 3


def random_decisions(seed):
    rng = np.random.default_rng(seed)
    y = (rng.random((120, len(RISK_TYPES))) < 0.05).astype(np.float32)
    docs = [f"document {n // 4}" for n in range(120)]
    right = y > 0
    wrong = right ^ (rng.random(y.shape) < 0.05)
    return Scored(y, right), Scored(y, wrong), y, docs


def test_measure_of_better_decisions_is_positive_and_repeats():
    right, wrong, y, docs = random_decisions(1)
    measured = measure(right, wrong, y, docs, taxonomy=built_in())
    assert refusals(measured, taxonomy=built_in()) == []
    assert measured.differences["mean_f1"].low > 0
    assert measured == measure(right, wrong, y, docs, taxonomy=built_in())


def test_measure_of_equal_decisions_is_zero_and_passes_unless_a_gain_is_required():
    right, _, y, docs = random_decisions(2)
    measured = measure(right, right, y, docs, taxonomy=built_in())
    assert measured.differences["mean_f1"].value == 0
    assert refusals(measured, taxonomy=built_in()) == []
    assert (
        "not significantly better" in refusals(measured, Limits(max_loss=0), taxonomy=built_in())[0]
    )


def test_measure_covers_each_category():
    right, wrong, y, docs = random_decisions(3)
    measured = measure(wrong, right, y, docs, taxonomy=built_in())
    for category in measured.categories.values():
        assert category.candidate_f1 < category.serving_f1 == 1.0
        assert category.low < category.high < 0
        assert category.support > 0
