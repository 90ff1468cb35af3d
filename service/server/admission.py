"""Admission control: a bounded queue in front of the worker threads; the rest is rejected at once."""

from __future__ import annotations

from waitress.channel import HTTPChannel
from waitress.task import ThreadedTaskDispatcher

from service.api.http.limits import PROBE_PATHS, RETRY_AFTER_S
from service.errors import Overloaded

WAITING_PER_THREAD = 4
"""Queued requests for each thread. At 3 ms for the scan of a sentence, a full queue of 128 is answered within
half a second; a client that would wait longer should try another process."""

_QUEUE_FULL = "Too many requests wait already. Try again in a few seconds."
_SHUTDOWN_TIMEOUT_S = 0.2


class Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]  # waitress has no annotations
    """waitress's worker threads with a bounded queue.

    Rejections and health checks run on a thread of their own.
    """

    def __init__(self, *, n_threads: int) -> None:
        super().__init__()
        self.max_queued = WAITING_PER_THREAD * n_threads
        self._express = ThreadedTaskDispatcher()
        self._express.set_thread_count(1)
        self.set_thread_count(n_threads)

    def add_task(self, task: HTTPChannel) -> None:
        """Queue a connection whose next request is complete, or reject that request."""
        request = task.requests[0]
        path = getattr(request, "path", "")  # an unparsable request has none
        is_express = path in PROBE_PATHS
        if not is_express and len(self.queue) >= self.max_queued:
            request.error = request.error or Overloaded(_QUEUE_FULL, retry_after_s=RETRY_AFTER_S)
        if is_express or request.error:
            self._express.add_task(task)
            return
        with self.lock:  # what waitress does, without its warning for each queued request
            self.queue.append(task)
            self.queue_cv.notify()

    def shutdown(self, cancel_pending: bool = True, timeout: float = _SHUTDOWN_TIMEOUT_S) -> bool:
        """Stop the idle threads; the others end with the process."""
        self._express.shutdown(cancel_pending, timeout)
        return bool(super().shutdown(cancel_pending, timeout))
