"""Temperature and threshold find what is known to be there."""

import numpy as np
import pytest

from ml import calibrate
from ml.calibrate import Calibration
from service.nlp.taxonomy import RISK_TYPES


def drawn(n: int, *, seed: int = 0):
    """Logits, and labels drawn with exactly their probability."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-2.0, 2.0, (n, len(RISK_TYPES))).astype(np.float32)
    p = calibrate.probabilities(logits, 1.0)
    return logits, (rng.random(p.shape) < p).astype(np.float32)


@pytest.mark.parametrize("boldness", [0.5, 1.0, 2.0])
def test_temperature_undoes_the_boldness_of_the_logits(boldness: float):
    logits, y = drawn(400)
    assert calibrate.fit_temperature(logits * boldness, y) == pytest.approx(boldness, rel=0.1)


def test_threshold_separates_what_can_be_separated():
    y = np.zeros((60, 37), np.float32)
    y[:20, 4] = 1.0
    scores = np.where(y > 0, 0.6, 0.2).astype(np.float32)
    assert 0.2 < calibrate.fit_threshold(scores, y) <= 0.6


def test_cross_fitted_hits_never_use_the_documents_own_labels():
    """Turning one document's labels around leaves its own decisions as they were."""
    logits, y = drawn(120)
    scores = calibrate.probabilities(logits, 1.0)
    docs = [f"d{i % 12}" for i in range(120)]
    own = np.array(docs) == "d3"
    before = calibrate.cross_fitted_hits(scores, y, docs)[own]
    y[own] = 1 - y[own]
    assert (calibrate.cross_fitted_hits(scores, y, docs)[own] == before).all()


def test_calibration_lists_a_threshold_for_every_risk_type():
    assert Calibration(1.0, 0.3).thresholds() == dict.fromkeys(RISK_TYPES, 0.3)
