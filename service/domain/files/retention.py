"""Deletes a user's files and work sessions that are past retention, in small transactions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import files as queries
from db.queries.purge import delete_old_sessions, list_old_files
from service.domain.files.files import Files
from service.domain.transactions import Transactions

FILES_AT_ONCE = 100
"""Files or sessions deleted in one transaction."""


def purge_files(files: Files, transactions: Transactions, user_id: UUID, before: datetime) -> int:
    """Delete a user's files from before a time with their bytes, and the sessions that they leave empty.

    Records no audit event. Returns the number of files.
    """
    store, n_deleted, n = files.store(user_id), 0, FILES_AT_ONCE
    while n == FILES_AT_ONCE:
        with store.lock():
            n, unused = transactions.run(_delete_some, user_id, before)
            for sha256 in unused:
                store.delete(sha256)
        n_deleted += n
    n = FILES_AT_ONCE
    while n == FILES_AT_ONCE:
        n = transactions.run(delete_old_sessions, user_id, before=before, limit=FILES_AT_ONCE)
    return n_deleted


def _delete_some(session: Session, user_id: UUID, before: datetime) -> tuple[int, Sequence[str]]:
    """Delete some rows; return their number, and the hashes of bytes that no row refers to any more."""
    unused: list[str] = []
    old = list_old_files(session, user_id, before=before, limit=FILES_AT_ONCE)
    for file in old:
        unused += queries.bytes_of_file_alone(session, file)
        queries.delete_file(session, file.id)
    return len(old), unused
