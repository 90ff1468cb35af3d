"""What waitress's loop and connections do otherwise here."""

import os

from service.server.connections import CoalescingTrigger


def woken(trigger):
    """Return how often it would wake a loop that looks now."""
    try:
        return len(os.read(trigger.socket.fileno(), 100))
    except BlockingIOError:
        return 0


def test_loop_is_woken_once_until_it_has_looked():
    trigger = CoalescingTrigger({})
    for _ in range(3):
        trigger.pull_trigger()
    assert woken(trigger) == 1

    trigger.pull_trigger()
    assert woken(trigger) == 0

    trigger.handle_read()
    trigger.pull_trigger()
    assert woken(trigger) == 1
    trigger.close()


def test_what_is_to_be_done_by_the_loop_is_done_though_it_was_woken_before():
    trigger, done = CoalescingTrigger({}), []
    trigger.pull_trigger(lambda: done.append(1))
    trigger.pull_trigger(lambda: done.append(2))

    trigger.handle_read()

    assert done == [1, 2]
    trigger.close()
