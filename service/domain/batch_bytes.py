"""The bytes of batch items: rows in the database, bytes in a store for each user.

Bytes are written before their row is committed. After an item has ended its bytes are removed, then its row
forgets their hash: a crash between leaves a row by which `remove_unneeded` finds them again.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import batches as queries
from service.domain.audit import Actor
from service.domain.files.user_stores import UserStores
from service.domain.files.verification import record_loss

FOLDER = "batches"
_REMOVED_AT_ONCE = 500
_ROUNDS = 20


class BatchBytes(UserStores):
    """The bytes of all users' items, below one folder that has a folder for each user."""

    def read(self, user_id: UUID, sha256: str) -> bytes:
        """Return the bytes of an item; StorageUnavailable if they are missing."""
        with self.store(user_id).open(sha256) as file:
            return file.read()

    def discard(self, user_id: UUID, hashes: Iterable[str]) -> int:
        """Remove bytes that no item needs any more; return how many."""
        store, n_removed = self.store(user_id), 0
        for sha256 in hashes:
            with store.lock():
                if not self._transactions.read(queries.needs_bytes, user_id, sha256):
                    store.delete(sha256)
                    self._transactions.run(queries.forget_bytes, user_id, sha256)
                    n_removed += 1
        return n_removed

    def remove_unneeded(self) -> int:
        """Remove the bytes of ended items that a crash left; return how many.

        At most _ROUNDS groups, so that the process need not wait long for it when it stops.
        """
        n_removed = 0
        for _ in range(_ROUNDS):
            unneeded = self._transactions.read(queries.list_unneeded, limit=_REMOVED_AT_ONCE)
            n = sum(self.discard(user_id, [sha256]) for user_id, sha256 in unneeded)
            n_removed += n
            if not n:
                break
        return n_removed


class BatchRows:
    """The rows of items with bytes, for Verification."""

    users = staticmethod(queries.users_with_bytes)
    stored_bytes = staticmethod(queries.stored_bytes)
    has_bytes = staticmethod(queries.has_bytes)

    @staticmethod
    def forget(session: Session, user_id: UUID, sha256: str, actor: Actor) -> None:
        """Store that the bytes are lost; a worker then fails the items that wait for them."""
        queries.forget_bytes(session, user_id, sha256)
        record_loss(session, user_id, sha256, actor=actor, object_type="batch_item")
