"""Tells workers that items wait. It may be lost: workers look into the database by themselves too."""

from __future__ import annotations

from collections.abc import Callable


class WorkSignal:
    """Calls its listeners after a transaction that left items waiting."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[int], None]] = []

    def subscribe(self, listener: Callable[[int], None]) -> None:
        """Call `listener` with the number of new items from now on; it returns at once and never raises."""
        self._listeners.append(listener)

    def send(self, n_items: int) -> None:
        """Call every listener."""
        for listener in self._listeners:
            listener(n_items)
