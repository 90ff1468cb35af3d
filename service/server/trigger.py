"""Wakes waitress's loop from other threads, with fewer system calls."""

from __future__ import annotations

from waitress.trigger import trigger


class CoalescingTrigger(trigger):  # type: ignore[misc]  # waitress has no annotations
    """Wakes the loop once, even if several threads pull the trigger before the loop runs."""

    _is_pulled = False

    def _physical_pull(self) -> None:
        if not self._is_pulled:
            self._is_pulled = True
            super()._physical_pull()

    def handle_read(self) -> None:
        """Consume the wake-up; the loop polls every connection after this, so no later one is lost."""
        super().handle_read()
        self._is_pulled = False
