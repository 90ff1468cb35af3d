"""Records in the audit trail that somebody read another person's scan or document."""

from __future__ import annotations

import threading
import time
from uuid import UUID

from service.domain.audit import Action, Actor, event, record
from service.domain.transactions import Transactions

AGAIN_AFTER_S = 900.0
"""The reader's next read of the same object is recorded only after this time."""
MAX_REMEMBERED = 10_000


class ForeignReads:
    """The reads of one process; another process records its own."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._recorded_s: dict[tuple[UUID, UUID], float] = {}
        self._lock = threading.Lock()

    def store(self, reader_id: UUID, owner_id: UUID, object_type: str, object_id: UUID) -> None:
        """Record a read, unless the reader owns the object or this read was recorded lately.

        Raises:
            DatabaseUnavailable: it cannot be recorded, so the caller must not show the object.
        """
        if reader_id == owner_id or self._is_recorded(reader_id, object_id):
            return
        read = event(
            Action.FOREIGN_READ,
            actor=Actor(reader_id),
            object_type=object_type,
            object_id=object_id,
            detail={"owner_id": str(owner_id)},
        )
        self._transactions.run(record, read)
        self._remember(reader_id, object_id)

    def _is_recorded(self, reader_id: UUID, object_id: UUID) -> bool:
        with self._lock:
            recorded_s = self._recorded_s.get((reader_id, object_id))
        return recorded_s is not None and time.monotonic() - recorded_s < AGAIN_AFTER_S

    def _remember(self, reader_id: UUID, object_id: UUID) -> None:
        with self._lock:
            if len(self._recorded_s) >= MAX_REMEMBERED:
                self._recorded_s.clear()
            self._recorded_s[reader_id, object_id] = time.monotonic()
