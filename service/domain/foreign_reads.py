"""Records in the audit trail that somebody read another person's scan or document."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from uuid import UUID

from db.tables import Scan
from service.domain.audit import Action, Actor, event, record
from service.domain.transactions import Transactions

AGAIN_AFTER_S = 900.0
"""The reader's next read of the same object is recorded only after this time."""
MAX_REMEMBERED = 10_000


class ForeignReads:
    """The reads of one process; another process records its own."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._recorded_s: dict[tuple[UUID, str, UUID], float] = {}
        """By reader, what they read, and its id."""
        self._lock = threading.Lock()

    def store(self, reader_id: UUID, owner_id: UUID, object_type: str, object_id: UUID) -> None:
        """Record a read, unless the reader owns the object or this read was recorded lately.

        Raises:
            DatabaseUnavailable: it cannot be recorded, so the caller must not show the object.
        """
        if reader_id == owner_id or self._is_recorded(reader_id, object_type, object_id):
            return
        read = event(
            Action.FOREIGN_READ,
            actor=Actor(reader_id),
            object_type=object_type,
            object_id=object_id,
            detail={"owner_id": str(owner_id)},
        )
        self._transactions.run(record, read)
        self._remember(reader_id, object_type, [object_id])

    def store_list(self, reader_id: UUID, list_name: str, scans: Iterable[Scan]) -> None:
        """Record in one event that a list, such as `review_queue`, shows sentences of others' scans.

        The event names scans and owners. It leaves out what this list showed the reader lately, and scans
        whose own read was recorded lately; without any other scan, there is no event. Raises as `store` does.
        """
        owners = {
            scan.id: scan.user_id
            for scan in scans
            if scan.user_id != reader_id
            and not self._is_recorded(reader_id, list_name, scan.id)
            and not self._is_recorded(reader_id, "scan", scan.id)
        }
        if not owners:
            return
        read = event(
            Action.FOREIGN_READ,
            actor=Actor(reader_id),
            object_type=list_name,
            detail={"owner_of_scan": {str(scan): str(owner) for scan, owner in owners.items()}},
        )
        self._transactions.run(record, read)
        self._remember(reader_id, list_name, owners)

    def _is_recorded(self, reader_id: UUID, object_type: str, object_id: UUID) -> bool:
        with self._lock:
            recorded_s = self._recorded_s.get((reader_id, object_type, object_id))
        return recorded_s is not None and time.monotonic() - recorded_s < AGAIN_AFTER_S

    def _remember(self, reader_id: UUID, object_type: str, object_ids: Iterable[UUID]) -> None:
        with self._lock:
            if len(self._recorded_s) >= MAX_REMEMBERED:
                self._recorded_s.clear()
            now_s = time.monotonic()
            self._recorded_s |= {(reader_id, object_type, n): now_s for n in object_ids}
