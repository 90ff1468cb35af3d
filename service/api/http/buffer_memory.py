"""Memory budgets for large request bodies and for large unsent responses."""

from __future__ import annotations

import threading

STRANGERS = ""
"""The one holder for all callers without a token; they share the part of one user."""

USER_KEY = "riskscan.user_id"
"""Key in the WSGI environment under which the application stores the user's id."""


class Budget:
    """A number of bytes shared by all holders; one holder gets at most half.

    A single body or response always fits: a holder without a reservation may exceed its half, and while there
    are no reservations, a holder may exceed the whole.
    """

    def __init__(self, n_bytes: int) -> None:
        self._n_bytes = n_bytes
        self._held: dict[str, int] = {}
        self._n_held = 0
        self._lock = threading.Lock()

    def take(self, holder: str, n: int) -> bool:
        """Reserve `n` bytes for a holder; return False and reserve nothing if they do not fit."""
        with self._lock:
            held = self._held.get(holder, 0)
            is_beyond_half = held and held + n > self._n_bytes // 2
            if is_beyond_half or (self._n_held and self._n_held + n > self._n_bytes):
                return False
            self._held[holder] = held + n
            self._n_held += n
            return True

    def give_back(self, holder: str, n: int) -> None:
        """Release `n` bytes that the holder reserved."""
        with self._lock:
            self._n_held -= n
            self._held[holder] -= n
            if not self._held[holder]:
                del self._held[holder]
