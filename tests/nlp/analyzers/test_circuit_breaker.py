"""The circuit breaker opens after failures in a row, and tries again one call at a time."""

import contextlib

import pytest

from service.errors import AnalyzerError, AnalyzerTimeout, AnalyzerUnavailable
from service.nlp.analyzers.circuit_breaker import MAX_FAILURES, PAUSE_S, CircuitBreaker


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def changes():
    return []


@pytest.fixture
def breaker(clock, changes):
    return CircuitBreaker("The server", clock_s=clock, on_change=changes.append)


def fail(breaker, n=1, error=AnalyzerUnavailable):
    for _ in range(n):
        with contextlib.suppress(error), breaker.guard():
            raise error("It is away.")


def is_open(breaker):
    try:
        with breaker.guard():
            return False
    except AnalyzerUnavailable:
        return True


@pytest.mark.parametrize("error", [AnalyzerUnavailable, AnalyzerTimeout])
def test_failures_in_a_row_open_it(breaker, changes, error):
    fail(breaker, MAX_FAILURES, error)
    with (
        pytest.raises(AnalyzerUnavailable, match="The server has failed") as caught,
        breaker.guard(),
    ):
        pytest.fail("the block must not run")
    assert caught.value.retry_after_s == PAUSE_S
    assert changes == [True]


def test_an_answer_between_failures_keeps_it_closed(breaker):
    fail(breaker, MAX_FAILURES - 1)
    fail(breaker, error=AnalyzerError)  # an answer, though a bad one
    fail(breaker, MAX_FAILURES - 1)
    assert not is_open(breaker)


def test_one_call_tries_after_the_pause_and_closes_it(breaker, clock, changes):
    fail(breaker, MAX_FAILURES)
    clock.now_s += PAUSE_S
    with breaker.guard():
        assert is_open(breaker)  # for all other calls
    assert not is_open(breaker)
    assert changes == [True, False]


def test_failed_trial_opens_it_again(breaker, clock):
    fail(breaker, MAX_FAILURES)
    clock.now_s += PAUSE_S
    fail(breaker)
    assert is_open(breaker)
    clock.now_s += PAUSE_S
    assert not is_open(breaker)
