"""Callers who come at once share one call, wait for no other key, and share no fault but the common one."""

import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.domain.group_commit import Combiner
from tests.support.waiting import PATIENCE_S, wait_until


class Away(Exception):
    """A fault that is nobody's own."""


class Work:
    """Doubles numbers, holding its first call until `gate` is set; keeps what each call was given."""

    def __init__(self):
        self.calls = []
        self.entered, self.gate = threading.Event(), threading.Event()
        self.is_away, self.ending, self.takes_s = False, None, 0.0

    def __call__(self, key, items):
        self.calls.append((key, list(items)))
        if key == "held" and len(self.calls) == 1:
            self.entered.set()
            assert self.gate.wait(PATIENCE_S)
            if self.ending:
                raise self.ending
        time.sleep(self.takes_s)
        if self.is_away and len(items) > 1:
            raise Away
        if "bad" in items:
            raise ValueError("bad")
        return [2 * item for item in items]


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def combiner(work):
    return Combiner(work, common=Away)


@pytest.fixture
def busy(combiner, work):
    """Threads for callers, the first of whom is at work on "held"."""
    with ThreadPoolExecutor(8) as pool:
        pool.first = pool.submit(combiner.do, "held", 1)
        assert work.entered.wait(PATIENCE_S)
        yield pool
        work.gate.set()


def come(combiner, busy, *items):
    """Have callers come one after the other while the first is at work."""
    futures = []
    for item in items:
        futures.append(busy.submit(combiner.do, "held", item))
        wait_until(lambda: combiner.n_waiting("held") == len(futures))
    return futures


def test_lone_caller_is_served_alone(combiner, work):
    assert [combiner.do("a", n) for n in (1, 2)] == [2, 4]
    assert work.calls == [("a", [1]), ("a", [2])]


def test_those_who_come_meanwhile_share_one_call_in_order(combiner, busy, work):
    others = come(combiner, busy, 2, 3, 4)
    work.gate.set()
    assert [f.result(PATIENCE_S) for f in (busy.first, *others)] == [2, 4, 6, 8]
    assert work.calls == [("held", [1]), ("held", [2, 3, 4])]


def test_another_key_does_not_wait(combiner, busy):
    assert combiner.do("b", 7) == 14
    assert not busy.first.done()


def test_fault_of_one_is_not_that_of_others(combiner, busy, work):
    good, bad, better = come(combiner, busy, 2, "bad", 4)
    work.gate.set()
    assert (good.result(PATIENCE_S), better.result(PATIENCE_S)) == (4, 8)
    with pytest.raises(ValueError, match="bad"):
        bad.result(PATIENCE_S)
    assert work.calls[1] == ("held", [2, "bad", 4])
    assert sorted(items[0] for _, items in work.calls[2:] if items != ["bad"]) == [2, 4]


def test_common_fault_is_told_to_all_after_one_call(combiner, busy, work):
    others = come(combiner, busy, 2, 3)
    work.is_away = True
    work.gate.set()
    for other in others:
        with pytest.raises(Away):
            other.result(PATIENCE_S)
    assert len(work.calls) == 2


def test_common_fault_is_told_to_those_who_came_while_it_lasted(combiner, busy, work):
    others = come(combiner, busy, 2, 3)
    work.ending = Away()
    work.gate.set()
    for caller in (busy.first, *others):
        with pytest.raises(Away):
            caller.result(PATIENCE_S)
    assert len(work.calls) == 1
    assert combiner.do("held", 4) == 8


def test_fault_of_a_lone_caller_is_raised_after_one_call(combiner, work):
    with pytest.raises(ValueError, match="bad"):
        combiner.do("a", "bad")
    assert work.calls == [("a", ["bad"])]


def test_after_a_fault_the_next_is_served(combiner):
    with pytest.raises(ValueError, match="bad"):
        combiner.do("a", "bad")
    assert combiner.do("a", 3) == 6


def test_end_of_the_one_at_work_frees_the_others(combiner, busy, work):
    work.ending = SystemExit()
    others = come(combiner, busy, 2, 3)
    work.gate.set()
    assert [f.result(PATIENCE_S) for f in others] == [4, 6]
    with pytest.raises(SystemExit):
        busy.first.result(PATIENCE_S)


def test_item_of_a_failed_call_is_let_go(combiner, work):
    class Bad:
        """Doubled by no one."""

    item = Bad()
    gone = weakref.ref(item)
    gc.disable()
    try:
        with pytest.raises(TypeError):
            combiner.do("a", item)
        del item
        work.calls.clear()
        assert gone() is None
    finally:
        gc.enable()


def test_many_callers_each_get_their_own(combiner, work):
    work.takes_s = 1e-4
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda n: combiner.do(n % 3, n), range(3_000)))
    assert results == [2 * n for n in range(3_000)]
    assert sorted(item for _, items in work.calls for item in items) == list(range(3_000))
    assert len(work.calls) < 3_000
    assert {combiner.n_waiting(key) for key in range(3)} == {-1}
