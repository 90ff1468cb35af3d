"""Small tasks that run after the answer, on one thread. A full queue drops new tasks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import Full, Queue

# A task may hold a document of 2 MB, and takes about a millisecond.
MAX_WAITING_TASKS = 64

_log = logging.getLogger(__name__)


class BackgroundTasks:
    """Runs tasks in order of submission on one thread."""

    def __init__(self, *, on_dropped: Callable[[], None] = lambda: None) -> None:
        """`on_dropped` is called for each task that the full queue drops."""
        self._on_dropped = on_dropped
        self._queue: Queue[Callable[[], None] | None] = Queue(MAX_WAITING_TASKS)
        self._thread = threading.Thread(target=self._run, name="background-tasks", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, task: Callable[[], None]) -> None:
        """Queue `task`, or drop it if the queue is full; never waits, never raises."""
        try:
            self._queue.put_nowait(task)
        except Full:
            self._on_dropped()

    def join(self) -> None:
        """Return when every submitted task has run."""
        self._queue.join()

    def close(self) -> None:
        """Run the queued tasks, then end the thread."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (task := self._queue.get()) is not None:
            try:
                task()
            except Exception as error:  # noqa: BLE001 - the edge of the thread, which must survive any error
                _log.error("a background task failed", exc_info=error)
            finally:
                self._queue.task_done()
