"""Where calls are counted for rate limits: in this process, or in Redis for all processes together.

All limits of a process share one storage, so that the outage of Redis delays a request at most once, by the
time-out of one call, and only the requests of its first moment. Later one request in `pause_s` tries Redis
again; all others count here at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from limits.errors import StorageError
from limits.storage import Storage, storage_from_string
from limits.strategies import MovingWindowRateLimiter, RateLimiter

from service.domain.redis_outage import RedisOutage

IN_PROCESS = "memory://"
TIMEOUT_S = 1.0
PAUSE_S = 10.0
_T = TypeVar("_T")


class LimitStorage:
    """The counts of one process's rate limits. Thread-safe."""

    def __init__(
        self, url: str = IN_PROCESS, *, timeout_s: float = TIMEOUT_S, pause_s: float = PAUSE_S
    ) -> None:
        """`timeout_s` limits each wait for Redis, `pause_s` is the time between two attempts in an outage."""
        self._local = MovingWindowRateLimiter(storage_from_string(IN_PROCESS))
        self._shared = self._local
        if url != IN_PROCESS:
            self._shared = MovingWindowRateLimiter(open_storage(url, timeout_s=timeout_s))
        self._outage = RedisOutage(
            "RATE_LIMIT_STORAGE_URL", "this process counts by itself", pause_s=pause_s
        )

    def run(self, work: Callable[[RateLimiter], _T]) -> _T:
        """Return the result of `work` on the shared counts, or on this process's own in an outage."""
        if not self._outage.may_try():
            return work(self._local)
        try:
            result = work(self._shared)
        except StorageError as error:
            self._outage.begin(type(error.storage_error).__name__)
            return work(self._local)
        self._outage.end()
        return result


def open_storage(url: str, *, timeout_s: float = TIMEOUT_S) -> Storage:
    """Return the storage in Redis; it connects at the first use. Each wait ends after `timeout_s`."""
    timeouts = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    storage = storage_from_string(url, wrap_exceptions=True, **timeouts)
    if not isinstance(storage, Storage):  # limits also has asynchronous ones
        raise TypeError(type(storage).__name__)
    return storage
