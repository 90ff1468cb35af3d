"""How much memory large request bodies, or answers that were not read yet, may hold at once."""

from __future__ import annotations

import threading

STRANGERS = ""
"""The holder of what callers without a token send and are sent; they share one share."""

USER_KEY = "riskscan.user_id"
"""Where the application writes into the WSGI environment whom it answers."""


class Budget:
    """Bytes that all holders share; one of them gets at most half.

    A holder of nothing may always exceed its half, and anyone the whole while nobody holds anything,
    so that a single body or answer is never refused for its size alone.
    """

    def __init__(self, n_bytes: int) -> None:
        self._n_bytes = n_bytes
        self._held: dict[str, int] = {}
        self._n_held = 0
        self._lock = threading.Lock()

    def take(self, holder: str, n: int) -> bool:
        """Count `n` bytes more for a holder; return False, and count nothing, where they do not fit."""
        with self._lock:
            held = self._held.get(holder, 0)
            is_beyond_half = held and held + n > self._n_bytes // 2
            if is_beyond_half or (self._n_held and self._n_held + n > self._n_bytes):
                return False
            self._held[holder] = held + n
            self._n_held += n
            return True

    def give_back(self, holder: str, n: int) -> None:
        """Count `n` bytes fewer for a holder that took them."""
        with self._lock:
            self._n_held -= n
            self._held[holder] -= n
            if not self._held[holder]:
                del self._held[holder]
