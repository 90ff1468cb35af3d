"""Runs small tasks again and again, on a thread of its own: cleaning up, sealing the audit trail."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from service.errors import RiskscanError
from service.observability.logging import fields

RETRY_S = 60.0
"""Wait after a task failed, such as while the database is unavailable."""
_log = logging.getLogger(__name__)


class PeriodicTasks:
    """Runs each of `tasks`, by name; a task returns how many rows or files it changed. Thread-safe."""

    def __init__(
        self,
        name: str,
        tasks: Mapping[str, Callable[[], int]],
        *,
        every_s: float,
        wait_s: float = 0,
    ) -> None:
        """`wait_s` is the time before the first run."""
        self._name = name
        self._tasks = tasks
        self._every_s = every_s
        self._wait_s = wait_s
        self._failing: set[str] = set()
        self._closing = threading.Event()
        self._due = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Let the thread run the tasks at once, or once more if it runs them now."""
        self._due.set()

    def run_tasks(self) -> bool:
        """Run each task now; return whether all succeeded."""
        n_failed = sum(not self._run_task(name) for name in self._tasks)
        return n_failed == 0

    def stop(self) -> None:
        """Let the thread end after the current task; does not wait for it."""
        self._closing.set()
        self._due.set()

    def close(self) -> None:
        """End the thread after the current task."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        self._wait(self._wait_s)
        while not self._closing.is_set():
            succeeded = self.run_tasks()
            self._wait(self._every_s if succeeded else min(RETRY_S, self._every_s))

    def _wait(self, seconds: float) -> None:
        self._due.wait(seconds)
        self._due.clear()  # before `_run` checks whether it ends

    def _run_task(self, name: str) -> bool:
        if self._closing.is_set():
            return True
        try:
            n_changed = self._tasks[name]()
        except Exception as error:  # noqa: BLE001 - the edge of the thread, which must survive any error
            if name not in self._failing:  # once, until it succeeds again
                self._log_failure(name, error)
            self._failing.add(name)
            return False
        self._failing.discard(name)
        if n_changed:
            _log.info(self._name, extra=fields(task=name, n_changed=n_changed))
        return True

    def _log_failure(self, name: str, error: Exception) -> None:
        if isinstance(error, RiskscanError):
            message = "%s: %s failed and will be retried: %s"
            _log.warning(message, self._name, name, error.message)
        else:
            _log.error("%s: %s failed and will be retried", self._name, name, exc_info=error)
