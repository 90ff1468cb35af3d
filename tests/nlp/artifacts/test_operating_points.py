"""From scores to findings: the risk threshold decides whether, the thresholds which."""

import numpy as np
import pytest

from service.nlp.artifacts.operating_points import OperatingPoint, risk_scores
from service.nlp.taxonomy import built_in

RISK_TYPES = built_in().risk_types

N = len(RISK_TYPES)


def scores(**by_column):
    row = np.zeros((1, N), np.float32)
    for column, value in by_column.items():
        row[0, int(column.removeprefix("c"))] = value
    return row


def decided(row, *, risk, types):
    (hits,) = OperatingPoint(risk, np.full(N, types, np.float32)).decide(row)
    return np.flatnonzero(hits).tolist()


def test_risk_score_of_several_doubts_is_surer_than_each():
    assert risk_scores(scores(c1=0.5, c2=0.5)).tolist() == [0.75]


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0.0), (1.0, 1.0)])
def test_risk_score_reaches_both_ends(value, expected):
    assert risk_scores(scores(c3=value)).tolist() == [expected]


def test_types_above_their_threshold_are_stated():
    assert decided(scores(c1=0.6, c4=0.5, c9=0.1), risk=0.5, types=0.4) == [1, 4]


def test_sure_risk_of_unsure_type_states_the_best_one():
    assert decided(scores(c1=0.3, c4=0.35, c9=0.2), risk=0.5, types=0.4) == [4]


def test_below_the_risk_threshold_nothing_is_stated_whatever_the_type_says():
    assert decided(scores(c1=0.45), risk=0.5, types=0.4) == []


def test_each_row_is_decided_alone():
    both = np.vstack([scores(c1=0.9), scores(c2=0.1)])
    point = OperatingPoint(0.5, np.full(N, 0.4, np.float32))
    assert point.decide(both).any(axis=1).tolist() == [True, False]
    assert point.decide(both[:0]).shape == (0, N)
