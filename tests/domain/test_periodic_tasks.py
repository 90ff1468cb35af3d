"""Periodic tasks survive errors, and log each failure once until the task succeeds again."""

import logging

import pytest

from service.domain.periodic_tasks import PeriodicTasks
from service.errors import DatabaseUnavailable


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
