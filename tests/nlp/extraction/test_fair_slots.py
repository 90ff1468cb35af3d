"""Callers share slots: no caller can take all of them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from service.errors import Overloaded, RateLimited
from service.nlp.extraction.fair_slots import FairSlots
from tests.support.waiting import PATIENCE_S, wait_until


class Crowd:
    """Threads that hold slots until told to leave; `held` lists who got one, in order."""

    def __init__(self, slots):
        self.slots = slots
        self.held = []
        self._pool = ThreadPoolExecutor(16)

    def come(self, caller):
        """Have a thread ask for a slot; return the event that makes it leave."""
        leave, n_before = threading.Event(), self.slots.n_waiting + len(self.held)
        self._pool.submit(self._hold, caller, leave)
        wait_until(lambda: self.slots.n_waiting + len(self.held) > n_before)
        return leave

    def _hold(self, caller, leave):
        with self.slots.hold(caller, timeout_s=PATIENCE_S):
            self.held.append(caller)
            assert leave.wait(PATIENCE_S)

    def close(self):
        self._pool.shutdown()


@pytest.fixture
def crowd_at():
    """Make crowds; they leave with the test."""
    with ExitStack() as stack:

        def make(slots):
            crowd = Crowd(slots)
            stack.callback(crowd.close)
            return crowd

        yield make


def test_another_caller_gets_a_slot_while_one_has_many_waiting(crowd_at):
    crowd = crowd_at(FairSlots(2))
    leaves = [crowd.come("a") for _ in range(6)]
    leaves.append(crowd.come("b"))
    wait_until(lambda: "b" in crowd.held, lambda: crowd.held)
    assert crowd.held == ["a", "b"]
    for leave in leaves:
        leave.set()
    wait_until(lambda: len(crowd.held) == 7)


def test_free_slot_goes_to_the_waiting_callers_in_turn(crowd_at):
    crowd = crowd_at(FairSlots(1))
    leaves = [crowd.come(caller) for caller in ("a", "a", "a", "b", "b", "c")]
    for leave in leaves:
        leave.set()
    wait_until(lambda: len(crowd.held) == 6)
    assert crowd.held == ["a", "a", "b", "c", "a", "b"]


def test_free_slot_goes_to_the_caller_who_holds_the_fewest(crowd_at):
    crowd = crowd_at(FairSlots(3))
    first, *rest = [crowd.come(caller) for caller in ("a", "a", "b", "a", "c")]
    assert crowd.held == ["a", "a", "b"]
    first.set()
    wait_until(lambda: len(crowd.held) == 4)
    assert crowd.held[3] == "c"
    for leave in rest:
        leave.set()


def test_caller_whose_own_files_take_the_time_is_told_so():
    slots = FairSlots(2)
    with slots.hold("a", timeout_s=0), pytest.raises(RateLimited, match="your share") as caught:  # noqa: SIM117
        with slots.hold("a", timeout_s=0.01):
            pass
    assert caught.value.retry_after_s >= 1
    assert slots.n_waiting == 0


def test_caller_whose_files_are_slow_is_refused_before_the_wait(crowd_at, monkeypatch):
    clock = iter(range(0, 1_000, 10))
    monkeypatch.setattr("service.nlp.extraction.fair_slots.monotonic", lambda: float(next(clock)))
    slots = FairSlots(2)
    with slots.hold("a", timeout_s=0):
        pass  # for ten seconds
    leave = crowd_at(slots).come("a")
    with pytest.raises(RateLimited), slots.hold("a", timeout_s=4):
        pass
    leave.set()


def test_slots_that_others_hold_are_overload():
    slots = FairSlots(1)
    with slots.hold("a", timeout_s=0), pytest.raises(Overloaded), slots.hold("b", timeout_s=0.01):
        pass


def test_slot_is_free_again_after_an_error():
    slots = FairSlots(1)
    with pytest.raises(KeyError), slots.hold("a", timeout_s=0):
        raise KeyError
    with slots.hold("b", timeout_s=0):
        pass
