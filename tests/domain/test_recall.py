"""The estimate of recall: against published intervals, and against simulated reviews."""

import random
from uuid import uuid4

import pytest

from service.domain.recall_sample import _draw
from service.domain.reviews.recall import recall, wilson


def counts(n_found, n_unflagged, n_answered, n_missed):
    return recall(
        n_scans=1,
        n_unsettled=0,
        n_found=n_found,
        n_unflagged=n_unflagged,
        n_answered=n_answered,
        n_missed=n_missed,
    )


@pytest.mark.parametrize(  # Newcombe 1998, Statistics in Medicine 17:857, table I
    ("n_hits", "n", "interval"),
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611))],
)
def test_wilson_interval_is_the_published_one(n_hits, n, interval):
    assert wilson(n_hits, n) == pytest.approx(interval, abs=5e-5)


def test_recall_without_answers_or_risks_is_unknown():
    assert counts(5, 100, 0, 0).estimate is None
    assert counts(0, 100, 50, 0).estimate is None


def test_recall_of_a_census_is_what_was_counted_at_best():
    found = counts(8, 100, 100, 2)
    assert found.estimate == pytest.approx(0.8)
    assert found.high == pytest.approx(0.8)  # two are known to be missed


def test_interval_without_a_missed_risk_reaches_one_and_narrows_with_answers():
    few, many = counts(50, 1_000, 50, 0), counts(50, 1_000, 500, 0)
    assert few.estimate == few.high == many.high == 1
    assert few.low < many.low < 1


def test_interval_holds_the_true_recall_in_95_of_100_samples():
    rng, n_held = random.Random(1), 0
    for _ in range(400):
        n_missed = sum(rng.random() < 40 / 2_000 for _ in range(300))
        estimate = counts(60, 2_000, 300, n_missed)
        n_held += estimate.low <= 60 / 100 <= estimate.high
    assert 0.92 <= n_held / 400 <= 0.98


def test_draws_of_a_document_are_uniform_and_repeat():
    document_id = uuid4()
    draws = [_draw(document_id, f"Sentence {n}.") for n in range(4_000)]
    assert draws == [_draw(document_id, f"Sentence {n}.") for n in range(4_000)]
    for share in (0.05, 0.5, 0.9):
        assert sum(draw < share for draw in draws) / 4_000 == pytest.approx(share, abs=0.04)
    assert _draw(uuid4(), "Sentence 1.") != draws[1]
