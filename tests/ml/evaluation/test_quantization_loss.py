"""The shipped integers decide like the float32 weights that they were rounded from."""

from pathlib import Path

import numpy as np
import pytest

from service.nlp.artifacts import artifact as artifacts
from service.nlp.taxonomy import built_in
from tests.nlp.conftest import MODEL_DIR

pytest.importorskip("torch")

from ml.evaluation import quantization_loss
from ml.evaluation.quantization_loss import MAX_DIFFERENCE_POINTS, FidelityError
from ml.evaluation.resampling import Measure

Y = np.zeros((200, 37), np.float32)
Y[:100, 0] = 1
DOCS = [f"doc-{n % 20}" for n in range(len(Y))]


def test_shipped_model_keeps_its_measured_quality():
    metrics = artifacts.load(MODEL_DIR).manifest.metrics
    points = metrics["float32_difference_points"]
    assert metrics["at_threshold"]["category_f1"][0] >= 0.50
    assert metrics["cross_fitted"]["category_f1"][0] >= 0.50
    assert metrics["cross_fitted"]["risk_f1"][0] >= 0.76
    assert max(abs(points["type_f1"]), abs(points["category_f1"])) <= MAX_DIFFERENCE_POINTS


def decide(scores):
    return scores >= 0.5


def test_differences_are_signed_points_of_each_level():
    trained = np.where(Y > 0, 0.99, 0.01).astype(np.float32)
    shipped = trained.copy()
    shipped[:2, 0] = 0.01  # F1 of 98 hits, none false, two missed: 196 / 198
    found = quantization_loss.differences(shipped, trained, Y, DOCS, decide, taxonomy=built_in())
    assert list(found) == ["risk_f1", "category_f1", "type_f1"]
    for difference in found.values():
        assert difference.value == pytest.approx(-100 / 99)
        assert difference.low < difference.value < difference.high <= 0


def test_differences_of_two_sentences_at_the_threshold_pass():
    """At a single threshold they would cost a whole point, although rounding moved them by a thousandth."""
    trained = np.where(Y > 0, 0.99, 0.01).astype(np.float32)
    trained[:2, 0] = 0.5005
    shipped = trained.copy()
    shipped[:2, 0] = 0.4995
    found = quantization_loss.differences(shipped, trained, Y, DOCS, decide, taxonomy=built_in())
    assert abs(found["type_f1"].value) < 0.1
    quantization_loss.check(found, weights=Path("w"))


def points(**given):
    same = Measure(0.0, -0.2, 0.2)
    return {"risk_f1": same, "category_f1": same, "type_f1": same} | given


@pytest.mark.parametrize("level", ["type_f1", "category_f1"])
@pytest.mark.parametrize("sure", [Measure(-1.5, -2.4, -0.51), Measure(1.5, 0.51, 2.4)])
def test_check_difference_significantly_beyond_half_a_point_is_refused(level, sure):
    with pytest.raises(FidelityError, match="-m ml export"):
        quantization_loss.check(points(**{level: sure}), weights=Path("refined.safetensors"))


def test_check_insignificant_difference_passes_and_risk_is_ignored():
    by_chance, sure = Measure(-1.7, -3.4, -0.4), Measure(3.0, 2.0, 4.0)
    given = points(type_f1=by_chance, category_f1=by_chance, risk_f1=sure)
    quantization_loss.check(given, weights=Path("refined.safetensors"))
