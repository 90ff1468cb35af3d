"""The vectors of findings, read from the database once and kept in memory up to a limit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import search as queries
from db.queries.reach import Reach, own
from service.domain.search.matrix import Vectors, no_vectors

MAX_BYTES = 256 * 2**20
"""Memory for vectors in one process: 650,000 findings of 384 dimensions."""
_Key = tuple[Reach, str]
"""Whose findings, and the model of their vectors."""
_Stamp = tuple[int, tuple[UUID, ...]]
"""Number of findings, and the newest scan."""


@dataclass(frozen=True, slots=True)
class _Entry:
    revision: int
    vectors: Vectors
    stamp: _Stamp | None = None
    """That of all scans when all vectors of the newest ones were read."""


class VectorCache:
    """An LRU cache by reach and model; a search reads the vectors that were stored since. Thread-safe.

    Vectors of a user's deleted findings stay until a search comes across them and calls `drop_deleted`.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()

    @property
    def n_bytes(self) -> int:
        """Memory of all entries."""
        with self._lock:
            return sum(entry.vectors.n_bytes for entry in self._entries.values())

    def get(self, session: Session, user_id: UUID, model: str, size: int) -> Vectors:
        """Return the vectors of all findings of a user by a model."""
        key = (own(user_id), model)
        entry = self._entry(key) or _Entry(0, no_vectors(size))
        # Before the rows: what is stored between the two reads is read again next time.
        revision = queries.revision(session, user_id)
        if revision != entry.revision:
            rows = queries.vectors_since(session, user_id, model, after=entry.revision)
            entry = _Entry(revision, entry.vectors.extended(rows))
        self._put(key, entry)
        return entry.vectors

    def newest(
        self,
        session: Session,
        reach: Reach,
        model: str,
        size: int,
        *,
        n_scans: int,
        n_findings: int,
    ) -> Vectors:
        """Return the vectors by a model of the newest scans in reach, up to these numbers of them."""
        key = (reach, model)
        entry = self._entry(key) or _Entry(0, no_vectors(size))
        stamp = _stamp(session, reach)  # before the scans, for the reason above
        if stamp is not None and stamp == entry.stamp:
            self._put(key, entry)
            return entry.vectors
        wanted = queries.newest_scans(session, reach, n_scans=n_scans, n_findings=n_findings)
        newest = frozenset(wanted)
        known = frozenset(scan_id for scan_id, _ in entry.vectors.parts)
        old = {part for part in entry.vectors.parts if part[0] not in newest}
        rows = queries.vectors_of(
            session, [row_id for row_id in wanted if row_id not in known], model
        )
        vectors = entry.vectors.without(old)
        if rows:
            vectors = vectors.extended(rows)
        is_whole = newest == frozenset(scan_id for scan_id, _ in vectors.parts)
        entry = _Entry(0, vectors, stamp if is_whole else None)
        self._put(key, entry)
        return entry.vectors

    def drop_deleted(self, session: Session, user_id: UUID, model: str) -> None:
        """Drop the vectors of a user's findings that are no longer stored."""
        key = (own(user_id), model)
        if (entry := self._entry(key)) is None:
            return
        gone = set(entry.vectors.parts) - queries.parts_of(session, user_id)
        left = _Entry(entry.revision, entry.vectors.without(gone))
        self._put(key, left)

    def _entry(self, key: _Key) -> _Entry | None:
        with self._lock:
            return self._entries.get(key)

    def _put(self, key: _Key, entry: _Entry) -> None:
        with self._lock:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            n_bytes = sum(kept.vectors.n_bytes for kept in self._entries.values())
            while n_bytes > self._max_bytes and len(self._entries) > 1:
                n_bytes -= self._entries.popitem(last=False)[1].vectors.n_bytes


def _stamp(session: Session, reach: Reach) -> _Stamp | None:
    """Return what changes when a scan is stored or deleted; None if sharing changes the reach too."""
    if not reach.is_everyones:
        return None
    newest = queries.newest_scans(session, reach, n_scans=1, n_findings=1)
    return queries.count_findings(session, reach), tuple(newest)
