"""A supervised process: restarted after its death, also if it dies for days or the system is exhausted."""

import subprocess
import sys
import threading

import pytest

from service.server.process_group import ProcessGroup
from service.server.shared_accept import ConnectionCounts
from service.server.web_process import WebProcess, restart_delay_s


class SleepingProcess(WebProcess):
    """A process that serves nothing; `spawned` has those that were started."""

    def __init__(self):
        super().__init__(0, [], ConnectionCounts.create(1), ProcessGroup(1))
        self.spawned = []

    def _spawn(self, _channel):
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        self.spawned.append(subprocess.Popen(command))
        return self.spawned[-1]


@pytest.fixture
def process():
    process = SleepingProcess()
    yield process
    process.kill()


@pytest.mark.parametrize(("n_deaths", "delay_s"), [(1, 0.5), (2, 1), (7, 30), (100_000, 30)])
def test_restart_delay_doubles_with_each_death_up_to_its_limit(n_deaths, delay_s):
    assert restart_delay_s(n_deaths) == delay_s


def test_start_without_a_thread_left_ends_the_child_and_is_tried_again(
    process, monkeypatch, caplog
):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("service.server.web_process._FIRST_DELAY_S", 600)  # ends in no test
    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", refuse)
        process.ensure_running()
        process.ensure_running()  # before the delay is over
    [child] = process.spawned
    assert child.poll() is not None
    assert not process.is_running
    assert "cannot start process 0: no thread is left" in caplog.text
    process.start()
    assert process.is_running
