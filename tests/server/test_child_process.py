"""A supervised child process: its end races with its supervision."""

import io
import threading
from types import SimpleNamespace

import pytest

from service.server.child_process import ChildProcess


def test_ended_process_is_not_restarted(caplog):
    child = ChildProcess("json.tool", [])  # reads its standard input until it ends
    assert child.ensure_running()
    child.end()
    assert not child.ensure_running()
    assert caplog.records == []


def test_end_during_supervision_is_not_reported_as_a_death(caplog):
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


def test_write_to_a_pipe_that_the_end_has_just_closed_fails_as_to_a_dead_process(monkeypatch):
    pipe = io.BytesIO()
    pipe.close()
    process = SimpleNamespace(poll=lambda: None, stdin=pipe)
    start = "service.server.child_process.start_isolated"
    monkeypatch.setattr(start, lambda *_arguments, **_options: process)
    child = ChildProcess("json.tool", [])
    child.ensure_running()
    with pytest.raises(BrokenPipeError):
        child.write(b"x")
