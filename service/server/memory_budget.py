"""Memory budgets: one for large request bodies, one for large responses that clients have not read yet."""

from __future__ import annotations

import threading

ANONYMOUS = ""
"""The user id of all callers without a token; together they get one user's share."""


class MemoryBudget:
    """A number of bytes that all users share; one user gets at most half.

    A single body or response is never rejected for its size alone: a user without a reservation may exceed
    the half, and while nobody has a reservation, a user may exceed the whole budget.
    """

    def __init__(self, n_bytes: int) -> None:
        self._n_bytes = n_bytes
        self._reserved: dict[str, int] = {}
        self._n_reserved = 0
        self._lock = threading.Lock()

    def reserve(self, user_id: str, n_bytes: int, *, held: int = 0) -> bool:
        """Reserve bytes for a user; return False, and reserve nothing, if they do not fit.

        `held` bytes were reserved before for the same response, whose size was not known then.
        """
        with self._lock:
            own = self._reserved.get(user_id, 0)
            own_after, all_after = own + n_bytes, self._n_reserved + n_bytes
            is_beyond_half = own > held and own_after > self._n_bytes // 2
            if is_beyond_half or (self._n_reserved > held and all_after > self._n_bytes):
                return False
            self._reserved[user_id] = own_after
            self._n_reserved = all_after
            return True

    def release(self, user_id: str, n_bytes: int) -> None:
        """Release bytes that a user reserved."""
        with self._lock:
            self._n_reserved -= n_bytes
            self._reserved[user_id] -= n_bytes
            if not self._reserved[user_id]:
                del self._reserved[user_id]
