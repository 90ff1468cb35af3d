"""When a log-in or an API key was last used, written once a minute at most."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from service.domain.transactions import Transactions
from service.errors import DatabaseUnavailable

STEP = timedelta(minutes=1)


class LastUse:
    """Stores times of use with `write(session, row_id, now)`."""

    def __init__(
        self, transactions: Transactions, write: Callable[[Session, UUID, datetime], None]
    ) -> None:
        self._transactions = transactions
        self._write = write
        self._next_write_s = 0.0

    def store(self, row_id: UUID, last_used_at: datetime | None) -> None:
        """Store that the row is used now, unless that is at most a minute old; skip a refused write."""
        now = datetime.now(UTC)
        if last_used_at is not None and now - last_used_at < STEP:
            return
        if time.monotonic() < self._next_write_s:
            return
        try:
            self._transactions.run(self._write, row_id, now)
        except DatabaseUnavailable:
            # A read-only database still serves requests; do not attempt this write for each of them.
            self._next_write_s = time.monotonic() + STEP.total_seconds()
