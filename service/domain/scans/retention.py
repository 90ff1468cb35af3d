"""Deletes a user's scans in small transactions: those past retention, or all with the account."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries.scans import list_old_scans
from service.domain.scans.scans import delete_scan, remove_scan
from service.domain.transactions import Transactions
from service.errors import NotFound

Discard = Callable[[UUID, Sequence[str]], object]
"""Removes the originals of a user's deleted documents, by their hashes."""
SCANS_AT_ONCE = 100
"""Scans deleted in one transaction; few, since it blocks SQLite's other writers."""


def delete_scans(
    transactions: Transactions,
    discard: Discard,
    user_id: UUID,
    *,
    before: datetime,
    reason: str | None = None,
) -> int:
    """Delete every scan that a user created before a time; return their number.

    The audit trail records each with `reason`, or none of them without one. `discard` removes the originals
    of the documents that are deleted with them. Several processes may run this at once.

    Raises:
        DatabaseUnavailable: see Transactions.run. Some scans may be deleted.
    """
    n_deleted, n = 0, SCANS_AT_ONCE
    while n == SCANS_AT_ONCE:
        n, originals = transactions.run(_delete_some, user_id, before, reason)
        discard(user_id, originals)
        n_deleted += n
    return n_deleted


def _delete_some(
    session: Session, user_id: UUID, before: datetime, reason: str | None
) -> tuple[int, list[str]]:
    originals = []
    scan_ids = list_old_scans(session, user_id, before=before, limit=SCANS_AT_ONCE)
    for scan_id in scan_ids:
        with contextlib.suppress(NotFound):  # its owner or another process has deleted it
            if reason is None:
                originals += remove_scan(session, user_id, scan_id)
            else:
                originals += delete_scan(session, user_id, scan_id, reason=reason)
    return len(scan_ids), originals
