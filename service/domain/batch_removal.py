"""Use cases that end batches and remove their bytes: cancel, delete, retention, deletion of the account."""

from __future__ import annotations

import contextlib
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import batches as queries
from db.queries.reach import own
from db.tables import OPEN_STATES, Batch
from service.domain.batch_bytes import BatchBytes
from service.domain.batches import batches
from service.domain.transactions import Transactions
from service.errors import NotFound

BATCHES_AT_ONCE = 20


class BatchRemoval:
    """Ends batches, and removes bytes that nobody needs any more."""

    def __init__(self, transactions: Transactions, stored: BatchBytes) -> None:
        self._transactions = transactions
        self._stored = stored

    def end(self, user_id: UUID, batch_id: UUID) -> bool:
        """Cancel a user's batch; delete it if it has ended already. Its scans stay.

        Returns whether it was cancelled. `remove_unneeded` then removes its bytes: if the client waited for
        10,000 of them and repeated its request after a time-out, it would delete the cancelled batch.

        Raises:
            NotFound: the user has no such batch.
        """
        if self._transactions.run(batches.cancel, user_id, batch_id):
            return True
        self._delete(user_id, batch_id)
        return False

    def cancel_all(self, user_id: UUID) -> None:
        """Cancel all batches of an account that is being deleted; its bytes go with the account."""
        for batch_id in self._transactions.read(queries.list_open_batches, user_id):
            with contextlib.suppress(NotFound):
                self._transactions.run(batches.cancel, user_id, batch_id)

    def purge(self, user_id: UUID, before: datetime) -> int:
        """Delete the batches that a user sent before a time and that have ended; return their number.

        Records no audit event.
        """
        n_deleted, n = 0, BATCHES_AT_ONCE
        while n == BATCHES_AT_ONCE:
            hashes, n = self._transactions.run(_purge_some, user_id, before)
            self._discard(user_id, hashes)
            n_deleted += n
        return n_deleted

    def _delete(self, user_id: UUID, batch_id: UUID) -> None:
        self._discard(user_id, self._transactions.run(_delete, user_id, batch_id))

    def _discard(self, user_id: UUID, hashes: set[str]) -> None:
        self._stored.discard(user_id, sorted(hashes))


def _delete(session: Session, user_id: UUID, batch_id: UUID) -> set[str]:
    """Delete a batch; return the hashes of its bytes."""
    batch: Batch = batches.find(session, own(user_id), batch_id)
    if batch.state in OPEN_STATES:  # somebody has let its failed items wait again
        return set()
    hashes = queries.bytes_of_batch(session, batch_id)
    batches.delete(session, user_id, batch_id)
    return hashes


def _purge_some(session: Session, user_id: UUID, before: datetime) -> tuple[set[str], int]:
    ids = queries.list_old_batches(session, user_id, before=before, limit=BATCHES_AT_ONCE)
    hashes: set[str] = set()
    for batch_id in ids:
        hashes |= queries.bytes_of_batch(session, batch_id)
        queries.delete_batch(session, batch_id)
    return hashes, len(ids)
