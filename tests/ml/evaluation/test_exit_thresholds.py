"""Thresholds of an exit, chosen by expected loss and measured on other sentences."""

import numpy as np
import pytest

from ml.corpus.dataset import Example
from ml.evaluation.exit_thresholds import ExitData, choose
from service.nlp.artifacts import artifact as artifacts
from service.nlp.inference.onnx_engine import OnnxEngine
from tests.support.artifacts import SHIPPED

N = 500
SURE = 20.0
"""A logit whose probability is 1 within 1e-5, with any usual calibration."""


@pytest.fixture(scope="module")
def shipped():
    artifact = artifacts.load(SHIPPED)
    return artifact, OnnxEngine(artifact, n_threads=1).n_outputs


def sentences(shipped, exit_scores_of_risks):
    """N harmless sentences with exit scores -N to -1, and N that are surely a risk, a document each."""
    artifact, n_outputs = shipped
    label = artifact.manifest.labels[0]
    n_types = len(artifact.manifest.labels)
    examples = [Example(f"s{k}", (label,) if k >= N else (), f"d{k}", "CC0") for k in range(2 * N)]
    outputs = np.zeros((2 * N, n_outputs), np.float32)
    outputs[:, :n_types] = -SURE
    outputs[N:, 0] = SURE
    scores = np.concatenate([np.arange(-N, 0), exit_scores_of_risks]).astype(np.float32)
    return ExitData(artifact, examples, outputs, np.full_like(outputs, -SURE), scores)


def test_expected_loss_decides_on_the_threshold(shipped):
    data = sentences(shipped, np.arange(1, N + 1))
    exit_ = choose(data, data)
    assert exit_["leave_below"]["balanced"] == 3  # two of 500 risks, 0.4 points, leave
    assert exit_["measured"]["balanced"] == {"recall_lost_points": 0.4, "leave": {"": 0.502}}


def test_costly_threshold_gives_way_to_a_lower_one(shipped):
    choosing = sentences(shipped, np.arange(1, N + 1))
    dev = sentences(shipped, np.arange(N))  # three are below 3, two below 2
    exit_ = choose(choosing, dev)
    assert exit_["leave_below"]["balanced"] == 2
    assert exit_["measured"]["balanced"]["recall_lost_points"] == 0.4


def test_point_has_no_exit_if_every_threshold_costs_too_much(shipped):
    choosing = sentences(shipped, np.arange(1, N + 1))
    dev = sentences(shipped, np.arange(N, 0, -1) - N)
    assert choose(choosing, dev) == {"leave_below": {}, "measured": {}}


def test_point_without_findings_to_bound_the_loss_has_no_exit(shipped):
    choosing = sentences(shipped, np.arange(1, N + 1))
    choosing.outputs[:, 0] = -SURE
    dev = sentences(shipped, np.arange(1, N + 1))
    assert choose(choosing, dev) == {"leave_below": {}, "measured": {}}
