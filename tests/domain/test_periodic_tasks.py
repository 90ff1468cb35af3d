"""Periodic tasks survive errors, and log each failure once until the task succeeds again."""

import logging
import queue

import pytest

from service.domain.periodic_tasks import PeriodicTasks
from service.errors import DatabaseUnavailable
from tests.support.waiting import PATIENCE_S


@pytest.mark.parametrize(
    ("error", "level"),
    [(DatabaseUnavailable("It is away."), "WARNING"), (RuntimeError("a defect"), "ERROR")],
)
def test_failing_task_logs_once_until_it_succeeds(caplog, error, level):
    caplog.set_level(logging.WARNING)
    outcomes = [error, error, 0, error]

    def task():
        outcome = outcomes.pop(0)
        if outcome:
            raise outcome
        return outcome

    tasks = PeriodicTasks("clean-up", {"rows": task}, every_s=1)
    assert [tasks.run_tasks() for _ in range(4)] == [False, False, True, False]
    assert [record.levelname for record in caplog.records] == [level, level]


def test_woken_thread_runs_the_tasks_before_their_time():
    runs = queue.SimpleQueue()
    tasks = PeriodicTasks("clean-up", {"rows": lambda: runs.put(1) or 0}, every_s=3600)
    tasks.start()
    runs.get(timeout=PATIENCE_S)
    tasks.wake()
    runs.get(timeout=PATIENCE_S)
    tasks.close()
    assert runs.empty()
