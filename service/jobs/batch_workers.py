"""Threads that run the items of batches, in the service's process or in one of their own.

The database is the queue. Idle workers look into it every few seconds, and at once when they are woken.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from functools import partial

from service.domain.batch_runs import BatchRuns, Run
from service.errors import RiskscanError

POLL_S = 2.0
"""Seconds between two looks into an empty queue; each is one query."""
_RETRY_S = 1.0
"""Wait after a failure, such as while the database is away."""
_RENEWALS_PER_LEASE = 4
_log = logging.getLogger(__name__)


class BatchWorkers:
    """Runs items on `n` threads, each one at a time, and renews their leases on another one."""

    def __init__(
        self,
        runs: BatchRuns,
        *,
        n: int,
        lease_s: float,
        draining: threading.Event,
        poll_s: float = POLL_S,
    ) -> None:
        """Once `draining` is set, no thread claims another item. `poll_s` is the pause between two looks."""
        self._runs = runs
        self._lease_s = lease_s
        self._draining = draining
        self._poll_s = poll_s
        self._name = f"{socket.gethostname()[:80]}:{os.getpid()}"
        self._closing = threading.Event()
        self._work = threading.Condition()
        self._n_wake_ups = 0
        self._lock = threading.Lock()  # guards the field below
        self._running: dict[int, Run] = {}
        self._workers = [
            threading.Thread(target=self._work_on, name=f"batches-{k}", daemon=True)
            for k in range(n)
        ]
        self._leases = threading.Thread(target=self._keep_leases, name="batch-leases", daemon=True)

    def start(self) -> None:
        """Start all threads."""
        for thread in (*self._workers, self._leases):
            thread.start()

    def wake(self, _n_items: int = 1) -> None:
        """Let idle threads look into the queue at once."""
        with self._work:
            self._n_wake_ups += 1
            self._work.notify_all()

    def close(self, *, finish_s: float = 0.0) -> None:
        """Let running items end within `finish_s` seconds, then give them back to other workers."""
        self._closing.set()
        self.wake()
        _wait_until(lambda: not self._running, finish_s)
        with self._lock:
            runs = [*self._running.values()]
        for run in runs:
            self._attempt(partial(self._runs.give_back, run))
        if self._leases.is_alive():
            self._leases.join()
        for thread in self._workers:
            thread.join(_RETRY_S)  # a scan may not notice at once; it stores nothing any more

    def _work_on(self) -> None:
        while not self._is_stopping():
            n_seen = self._n_wake_ups
            outcome = self._attempt(self._run_next)
            if outcome is None:
                self._closing.wait(_RETRY_S)
            elif not outcome:
                self._wait_for_work(n_seen)

    def _wait_for_work(self, n_seen: int) -> None:
        with self._work:
            if self._n_wake_ups == n_seen and not self._is_stopping():
                self._work.wait(self._poll_s)

    def _run_next(self) -> bool:
        """Run the next item on this thread; return whether there was one."""
        run = self._runs.claim(self._name)
        if run is None:
            return False
        thread_id = threading.get_ident()
        with self._lock:
            self._running[thread_id] = run
        try:
            if not self._closing.is_set():  # else `close` may have missed this run
                self._runs.execute(run)
            else:
                self._runs.give_back(run)
        finally:
            with self._lock:
                del self._running[thread_id]
        return True

    def _keep_leases(self) -> None:
        """Renew the leases of this process, and release those of dead ones."""
        while not self._closing.wait(self._lease_s / _RENEWALS_PER_LEASE):
            with self._lock:
                runs = [*self._running.values()]
            self._attempt(partial(self._runs.renew, runs))
            if self._attempt(self._runs.release_expired):
                self.wake()

    def _attempt(self, step: Callable[[], object]) -> object:
        """Return what `step` returns; log its failure and return None, since the thread must go on."""
        try:
            return step()
        except RiskscanError as error:
            _log.warning("batches: %s", error.message)
        except Exception as error:  # noqa: BLE001 - the edge of the thread, which must survive any error
            _log.error("batches: a step failed and will be repeated", exc_info=error)
        return None

    def _is_stopping(self) -> bool:
        return self._closing.is_set() or self._draining.is_set()


def _wait_until(condition: Callable[[], bool], timeout_s: float) -> None:
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s and not condition():
        time.sleep(0.02)
