"""Runs the tasks that delete old rows, once an hour on a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from service.errors import RiskscanError
from service.observability.logging import fields

EVERY_S = 3600.0
RETRY_S = 60.0
"""Wait after a task failed, such as while the database is unavailable."""
_log = logging.getLogger(__name__)


class CleanUp:
    """Runs each of `tasks`, by name; a task deletes rows and returns their number."""

    def __init__(self, tasks: Mapping[str, Callable[[], int]]) -> None:
        self._tasks = tasks
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clean-up", daemon=True)

    def start(self) -> None:
        """Start the thread; it runs the tasks at once."""
        self._thread.start()

    def run_tasks(self) -> bool:
        """Run each task now; return whether all succeeded."""
        n_failed = sum(not self._run_task(name) for name in self._tasks)
        return n_failed == 0

    def close(self) -> None:
        """End the thread after the current task."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._closing.wait(EVERY_S if self.run_tasks() else RETRY_S)

    def _run_task(self, name: str) -> bool:
        if self._closing.is_set():
            return True
        try:
            n_deleted = self._tasks[name]()
        except RiskscanError as error:
            _log.warning("the clean-up of %s failed and will be retried: %s", name, error.message)
            return False
        except Exception as error:  # noqa: BLE001 - the edge of the thread, which must survive any error
            _log.error("the clean-up of %s failed", name, exc_info=error)
            return False
        if n_deleted:
            _log.info("clean-up", extra=fields(task=name, n_deleted=n_deleted))
        return True
