"""A set of digests in little memory. Imports no Ray."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

DIGEST_BYTES = 16
_RECENT = 1_000_000
"""Digests in the Python set, which needs 100 bytes for each, before they move to the array."""


class DigestSet:
    """Digests of 16 bytes each: most of them in a sorted array, 16 bytes each, the newest in a set."""

    def __init__(self, digests: Iterable[bytes] = (), *, recent: int = _RECENT) -> None:
        self._sorted = np.zeros(0, f"S{DIGEST_BYTES}")
        self._recent: set[bytes] = set()
        self._max_recent = recent
        for digest in digests:
            self.add(digest)

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)

    def __contains__(self, digest: bytes) -> bool:
        if digest in self._recent:
            return True
        at = int(np.searchsorted(self._sorted, np.bytes_(digest)))
        # numpy drops the zero bytes at the end of both alike.
        return at < len(self._sorted) and self._sorted[at] == np.bytes_(digest).rstrip(b"\0")

    def add(self, digest: bytes) -> bool:
        """Add a digest; return whether it is new."""
        if digest in self:
            return False
        self._recent.add(digest)
        if len(self._recent) >= self._max_recent:
            recent = np.array(list(self._recent), self._sorted.dtype)
            self._sorted = np.sort(np.concatenate([self._sorted, recent]))
            self._recent.clear()
        return True
