"""A supervised child process: the race between its supervision and its end."""

import threading

from service.server.child_process import ChildProcess


def test_process_that_was_ended_is_not_started_again(caplog):
    child = ChildProcess("json.tool", [])  # reads its standard input until it ends
    assert child.ensure_running()
    child.end()
    assert not child.ensure_running()
    assert caplog.records == []


def test_end_beside_supervision_is_no_death_to_report(caplog):
    for _ in range(5):
        child, is_over = ChildProcess("json.tool", []), threading.Event()

        def supervise(child=child, is_over=is_over):
            while not is_over.is_set():
                child.ensure_running()

        thread = threading.Thread(target=supervise)
        child.ensure_running()
        thread.start()
        child.end()
        is_over.set()
        thread.join()
        assert not child.ensure_running()
    assert caplog.records == []
