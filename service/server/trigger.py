"""Wakes waitress's loop from other threads, with fewer system calls."""

from __future__ import annotations

import threading
from typing import Any

from waitress.trigger import trigger


class CoalescingTrigger(trigger):  # type: ignore[misc]  # waitress has no annotations
    """Wakes the loop once, even if several threads pull the trigger before the loop runs.

    A pull after `close` does nothing: its pipe may be another file by then.
    """

    _is_pulled = False

    def __init__(self, sockets: dict[int, Any]) -> None:
        """Add the trigger to `sockets`, waitress's own map."""
        # a signal handler may pull while its thread pulls or closes
        self._using_pipe = threading.RLock()
        super().__init__(sockets)

    def _physical_pull(self) -> None:
        if self._is_pulled:
            return
        self._is_pulled = True
        with self._using_pipe:
            if not self._closed:
                super()._physical_pull()

    def _close(self) -> None:
        with self._using_pipe:
            super()._close()

    def handle_read(self) -> None:
        """Consume the wake-up; the loop polls every connection after this, so no later one is lost."""
        super().handle_read()
        self._is_pulled = False
