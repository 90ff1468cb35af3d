"""Paired bootstrap: two analyzers' decisions on the same resampled documents."""

import numpy as np
import pytest

from ml.evaluation import paired_comparison
from ml.evaluation.metrics import f1_measures
from service.nlp.taxonomy import built_in
from tests.ml.decisions import DOCS, N, Y, wrong


def test_paired_bootstrap_difference_is_that_of_the_two_f1():
    a, b = wrong(0.1), wrong(0.4)
    found = paired_comparison.paired_bootstrap(a, b, Y, DOCS, taxonomy=built_in())
    of_a, of_b = (
        f1_measures(a, Y, DOCS, taxonomy=built_in()),
        f1_measures(b, Y, DOCS, taxonomy=built_in()),
    )
    assert set(found) == {
        "risk_f1",
        "category_f1",
        "category_macro_f1",
        "type_f1",
        "mean_f1",
    }
    for key, d in found.items():
        assert d.value == pytest.approx(of_a[key].value - of_b[key].value)
        assert d.low <= d.value <= d.high


def test_paired_bootstrap_clearly_better_wins_every_resample():
    found = paired_comparison.paired_bootstrap(
        wrong(0.05), wrong(0.6), Y, DOCS, taxonomy=built_in()
    )
    assert all(d.p_better == 1.0 and d.low > 0 for d in found.values())


def test_paired_bootstrap_swapped_changes_the_signs():
    a, b = wrong(0.2), wrong(0.25, seed=1)
    one, other = (
        paired_comparison.paired_bootstrap(a, b, Y, DOCS, taxonomy=built_in()),
        paired_comparison.paired_bootstrap(b, a, Y, DOCS, taxonomy=built_in()),
    )
    for key, d in one.items():
        assert other[key].value == pytest.approx(-d.value)
        assert other[key].low == pytest.approx(-d.high)
        assert other[key].p_better == pytest.approx(1 - d.p_better)


def test_paired_bootstrap_same_decisions_are_even_and_repeat():
    found = paired_comparison.paired_bootstrap(wrong(0.3), wrong(0.3), Y, DOCS, taxonomy=built_in())
    assert all((d.value, d.low, d.high, d.p_better) == (0, 0, 0, 0.5) for d in found.values())
    again = paired_comparison.paired_bootstrap(
        wrong(0.3), wrong(0.1), Y, DOCS, seed=4, taxonomy=built_in()
    )
    assert again == paired_comparison.paired_bootstrap(
        wrong(0.3), wrong(0.1), Y, DOCS, seed=4, taxonomy=built_in()
    )


def test_paired_bootstrap_is_narrower_than_two_separate_intervals():
    """Both share the resamples, so that a document's difficulty cancels out."""
    rng = np.random.default_rng(3)
    hard = np.repeat(rng.random(N // 8) < 0.4, 8)
    a, b = (Y > 0) & ~hard[:, None], (Y > 0) & ~hard[:, None] & (rng.random((N, 1)) > 0.03)
    d = paired_comparison.paired_bootstrap(a, b, Y, DOCS, taxonomy=built_in())["type_f1"]
    alone = f1_measures(a, Y, DOCS, taxonomy=built_in())["type_f1"]
    assert d.high - d.low < 0.5 * (alone.high - alone.low)
