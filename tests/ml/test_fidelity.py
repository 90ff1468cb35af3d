"""The integers that ship decide as the float32 weights they were rounded from."""

import sys
from pathlib import Path

import numpy as np
import pytest

from service.config import ROOT
from service.nlp import artifact as artifacts
from tests.nlp.conftest import MODEL_DIR

pytest.importorskip("torch")

from ml import fidelity, settings
from ml.fidelity import MAX_DIFFERENCE_POINTS, FidelityError

CONFIG = ROOT / "ml/configs/riskscan-minilm.toml"
Y = np.zeros((200, 37), np.float32)
Y[:100, 0] = 1


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
    found = fidelity.differences(shipped, trained, Y, decide)
    assert found == pytest.approx(dict.fromkeys(["risk_f1", "category_f1", "type_f1"], -100 / 99))


def test_differences_two_sentences_that_cross_the_threshold_by_accident_pass():
    """At the one threshold they would cost a whole point; rounding moved them by a thousandth."""
    trained = np.where(Y > 0, 0.99, 0.01).astype(np.float32)
    trained[:2, 0] = 0.5005
    shipped = trained.copy()
    shipped[:2, 0] = 0.4995
    at_once = fidelity.differences(shipped, trained, Y, decide)["type_f1"]
    assert abs(at_once) < 0.1
    fidelity.check(fidelity.differences(shipped, trained, Y, decide), weights=Path("w"))


@pytest.mark.parametrize("level", ["type_f1", "category_f1"])
@pytest.mark.parametrize("value", [-0.51, 0.51])
def test_check_difference_beyond_half_a_point_is_refused(level, value):
    points = {"type_f1": 0.0, "category_f1": 0.0, "risk_f1": 0.0, level: value}
    with pytest.raises(FidelityError, match=r"ml\.export"):
        fidelity.check(points, weights=Path("refined.safetensors"))


def test_check_half_a_point_passes_and_risk_is_not_judged():
    points = {"type_f1": 0.5, "category_f1": -0.5, "risk_f1": 3.0}
    fidelity.check(points, weights=Path("refined.safetensors"))


def test_evaluate_command_refused_ends_with_1_and_a_sentence(monkeypatch):
    def refuse(_settings):
        fidelity.check({"type_f1": -2.0, "category_f1": 0.0}, weights=Path("refined.safetensors"))

    monkeypatch.setattr(sys, "argv", ["evaluate", str(CONFIG)])
    with pytest.raises(SystemExit, match="The artifact was not changed") as caught:
        settings.run_step(refuse)
    assert isinstance(caught.value.code, str)  # which Python prints, and ends with 1
