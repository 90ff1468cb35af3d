"""Processes that accept from the same sockets leave connections to the one that has fewest."""

import pytest

from service.server.shared_accept import ConnectionCounts, SharedAccept
from tests.server.test_sidecar_process import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def counts():
    return ConnectionCounts.create(2)


@pytest.fixture
def first(counts, clock):
    return SharedAccept(counts, 0, is_draining=lambda: False, clock=clock)


@pytest.fixture
def second(counts, clock):
    return SharedAccept(counts, 1, is_draining=lambda: False, clock=clock)


def test_process_with_fewest_connections_accepts(first, second):
    first.publish(3)
    second.publish(3)
    assert not first.defer()
    assert first.wait_s() == 0


def test_process_with_more_connections_defers_once(first, second, clock):
    first.publish(4)
    second.publish(3)
    assert first.defer()
    waited_s = first.wait_s()
    assert 0 < waited_s < 0.1
    clock.now_s += waited_s + 0.001
    assert first.wait_s() == 0
    assert not first.defer()  # nobody took it


def test_next_connection_is_deferred_again(first, second, clock):
    first.publish(4)
    second.publish(3)
    first.defer()
    clock.now_s += 1
    assert first.defer()


def test_greater_surplus_waits_longer(first, second):
    first.publish(9)
    second.publish(3)
    first.defer()
    long_s = first.wait_s()
    first.publish(4)
    first.defer()
    assert first.wait_s() < long_s


@pytest.mark.parametrize("state", ["starting", "draining", "dead"])
def test_process_that_accepts_nothing_gets_no_turn(counts, clock, first, state):
    other = SharedAccept(counts, 1, is_draining=lambda: state == "draining", clock=clock)
    if state != "starting":
        other.publish(0)
    if state == "dead":
        counts.stop_accepting(1)
    first.publish(5)
    assert not first.defer()


def test_draining_process_leaves_connections_to_others(counts, clock, first):
    draining = SharedAccept(counts, 1, is_draining=lambda: True, clock=clock)
    first.publish(5)
    draining.publish(0)
    assert draining.defer()


def test_process_behind_others_waits_until_they_have_their_lead(counts, clock, first):
    behind = SharedAccept(counts, 1, is_draining=lambda: False, lead=4, clock=clock)
    behind.publish(0)
    first.publish(3)
    assert not first.defer()
    assert behind.defer()
    first.publish(5)
    assert first.defer()
    clock.now_s += 1
    assert not behind.defer()


def test_process_behind_others_accepts_at_once_if_they_do_not(counts, clock):
    behind = SharedAccept(counts, 1, is_draining=lambda: False, lead=4, clock=clock)
    counts.stop_accepting(0)
    behind.publish(0)
    assert not behind.defer()
