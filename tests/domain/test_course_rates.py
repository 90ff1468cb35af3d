"""Rates in 1,000 sentences with their intervals."""

import pytest
from scipy.stats import chi2

from service.domain.courses.rates import byar, rate_per_1000


@pytest.mark.parametrize("n", [0, 1, 2, 5, 20, 400])
def test_interval_is_near_the_exact_one(n):
    exact_low = chi2.ppf(0.025, 2 * n) / 2 if n else 0
    exact_high = chi2.ppf(0.975, 2 * n + 2) / 2
    low, high = byar(n)
    assert low == pytest.approx(exact_low, rel=0.01, abs=0.02)
    assert high == pytest.approx(exact_high, rel=0.015)


def test_rate_of_no_sentences_is_unknown():
    assert rate_per_1000(0, 0).per_1000 is None


def test_rate_is_in_1000():
    rate = rate_per_1000(3, 600)
    assert (rate.n, rate.per_1000) == (3, 5)
    assert rate.low == pytest.approx(1.0, abs=0.05)
