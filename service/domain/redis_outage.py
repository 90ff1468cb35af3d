"""Whether Redis is unavailable, so that an outage delays few callers: each waits for it at most once."""

from __future__ import annotations

import logging
import threading
import time

_log = logging.getLogger(__name__)


class RedisOutage:
    """The state of one Redis server for one process. Thread-safe.

    In an outage one caller in `pause_s` tries Redis again. `setting` and `consequence` are for the log.
    """

    def __init__(self, setting: str, consequence: str, *, pause_s: float) -> None:
        self._setting, self._consequence = setting, consequence
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._retry_at_s: float | None = None
        """When to try Redis again; None while it is available."""

    def may_try(self) -> bool:
        """Return whether the caller is to use Redis."""
        with self._lock:
            if self._retry_at_s is None:
                return True
            now_s = time.monotonic()
            if now_s < self._retry_at_s:
                return False
            self._retry_at_s = now_s + self._pause_s
            return True

    def begin(self, fault: str) -> None:
        """Note that a call failed."""
        with self._lock:
            is_new = self._retry_at_s is None
            self._retry_at_s = time.monotonic() + self._pause_s
        if is_new:
            _log.warning("%s is unavailable (%s); %s", self._setting, fault, self._consequence)

    def end(self) -> None:
        """Note that a call succeeded."""
        if self._retry_at_s is None:
            return
        with self._lock:
            was_out, self._retry_at_s = self._retry_at_s is not None, None
        if was_out:
            _log.warning("%s is available again", self._setting)
