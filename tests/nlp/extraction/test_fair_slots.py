"""Fair slots: no caller can hold all of them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from service.errors import Overloaded, RateLimited
from service.nlp.extraction.fair_slots import FairSlots
from tests.support.waiting import PATIENCE_S, wait_until


class Crowd:
    """Threads that hold slots until their event is set; `held` lists their callers in order."""

    def __init__(self, slots):
        self.slots = slots
        self.held = []
        self._pool = ThreadPoolExecutor(16)

    def enter(self, caller):
        """Start a thread that waits for a slot; return the event that makes it release the slot."""
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
    """Create crowds; they end with the test."""
    with ExitStack() as stack:

        def make(slots):
            crowd = Crowd(slots)
            stack.callback(crowd.close)
            return crowd

        yield make


def test_hold_beside_a_caller_with_many_turns_gets_a_slot(crowd_at):
    crowd = crowd_at(FairSlots(2))
    leaves = [crowd.enter("a") for _ in range(6)]
    leaves.append(crowd.enter("b"))
    wait_until(lambda: "b" in crowd.held, lambda: crowd.held)
    assert crowd.held == ["a", "b"]
    for leave in leaves:
        leave.set()
    wait_until(lambda: len(crowd.held) == 7)


def test_hold_free_slots_go_to_the_callers_in_turn(crowd_at):
    crowd = crowd_at(FairSlots(1))
    leaves = [crowd.enter(caller) for caller in ("a", "a", "a", "b", "b", "c")]
    for leave in leaves:
        leave.set()
    wait_until(lambda: len(crowd.held) == 6)
    assert crowd.held == ["a", "a", "b", "c", "a", "b"]


def test_hold_free_slot_goes_to_the_caller_with_the_fewest(crowd_at):
    crowd = crowd_at(FairSlots(3))
    first, *rest = [crowd.enter(caller) for caller in ("a", "a", "b", "a", "c")]
    assert crowd.held == ["a", "a", "b"]
    first.set()
    wait_until(lambda: len(crowd.held) == 4)
    assert crowd.held[3] == "c"
    for leave in rest:
        leave.set()


def test_hold_behind_own_turns_raises_rate_limited():
    slots = FairSlots(2)
    with slots.hold("a", timeout_s=0), pytest.raises(RateLimited, match="your share") as caught:  # noqa: SIM117
        with slots.hold("a", timeout_s=0.01):
            pass
    assert caught.value.retry_after_s >= 1
    assert slots.n_waiting == 0


def test_hold_behind_own_slow_turns_raises_before_the_wait(crowd_at, monkeypatch):
    clock = iter(range(0, 1_000, 10))
    monkeypatch.setattr("service.nlp.extraction.fair_slots.monotonic", lambda: float(next(clock)))
    slots = FairSlots(2)
    with slots.hold("a", timeout_s=0):
        pass  # for ten seconds
    leave = crowd_at(slots).enter("a")
    with pytest.raises(RateLimited), slots.hold("a", timeout_s=4):
        pass
    leave.set()


def test_hold_behind_other_callers_raises_overloaded():
    slots = FairSlots(1)
    with slots.hold("a", timeout_s=0), pytest.raises(Overloaded), slots.hold("b", timeout_s=0.01):
        pass


def test_hold_after_an_error_in_the_block_gets_the_slot():
    slots = FairSlots(1)
    with pytest.raises(KeyError), slots.hold("a", timeout_s=0):
        raise KeyError
    with slots.hold("b", timeout_s=0):
        pass
