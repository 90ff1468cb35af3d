"""The trigger wakes waitress's loop once, however often it is pulled."""

import os

import pytest

from service.server.trigger import CoalescingTrigger


@pytest.fixture
def trigger():
    opened = CoalescingTrigger({})
    yield opened
    opened.close()


def n_pending_wakeups(trigger):
    """Consume the wake-ups that the loop would see now; return how many."""
    try:
        return len(os.read(trigger.socket.fileno(), 100))
    except BlockingIOError:
        return 0


def test_repeated_pulls_before_the_loop_runs_wake_it_once(trigger):
    for _ in range(3):
        trigger.pull_trigger()
    assert n_pending_wakeups(trigger) == 1

    trigger.pull_trigger()
    assert n_pending_wakeups(trigger) == 0


def test_pull_after_the_loop_ran_wakes_it_again(trigger):
    trigger.pull_trigger()
    n_pending_wakeups(trigger)
    trigger.handle_read()
    trigger.pull_trigger()
    assert n_pending_wakeups(trigger) == 1


def test_pull_after_close_does_nothing(trigger):
    trigger.close()
    trigger.pull_trigger()  # the closed pipe would raise EBADF


def test_callbacks_of_coalesced_pulls_all_run(trigger):
    calls = []
    trigger.pull_trigger(lambda: calls.append(1))
    trigger.pull_trigger(lambda: calls.append(2))

    trigger.handle_read()

    assert calls == [1, 2]
