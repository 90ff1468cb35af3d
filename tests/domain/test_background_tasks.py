"""Background tasks run in order; a full queue drops and counts new ones."""

import threading

import pytest

from service.domain.background_tasks import MAX_WAITING_TASKS, BackgroundTasks


@pytest.fixture
def dropped():
    return []


@pytest.fixture
def tasks(dropped):
    background = BackgroundTasks(on_dropped=lambda: dropped.append(True))
    yield background
    background.close()


def test_tasks_run_in_order_of_submission(tasks):
    done = []
    tasks.start()
    for n in range(10):
        tasks.submit(lambda n=n: done.append(n))
    tasks.join()
    assert done == list(range(10))


def test_task_that_fails_is_logged_and_the_next_runs(tasks, caplog):
    done = []
    tasks.start()
    tasks.submit(lambda: 1 / 0)
    tasks.submit(lambda: done.append(True))
    tasks.join()
    assert done == [True]
    assert "a background task failed" in caplog.text


def test_full_queue_drops_and_counts_without_waiting(tasks, dropped):
    for _ in range(MAX_WAITING_TASKS + 3):
        tasks.submit(lambda: None)
    assert len(dropped) == 3


def test_close_runs_the_queued_tasks(tasks):
    done, gate = [], threading.Event()
    tasks.start()
    tasks.submit(gate.wait)
    tasks.submit(lambda: done.append(True))
    gate.set()
    tasks.close()
    assert done == [True]
