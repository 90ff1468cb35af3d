"""The bytes of batch items: rows in the database, bytes in a store for each user.

Bytes are written before their row is committed. After an item has ended its bytes are removed, then its row
forgets their hash: a crash between leaves a row by which `remove_unneeded` finds them again. It also removes
the bytes of cancelled items.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import batches as queries
from service.domain.audit import Actor
from service.domain.files.user_stores import UserStores
from service.domain.files.verification import record_loss

FOLDER = "batches"
_REMOVED_AT_ONCE = 500
_LOCKED_AT_ONCE = 100
"""Bytes that are removed under one lock, for which uploads of the same user wait."""


class BatchBytes(UserStores):
    """The bytes of all users' items, below one folder that has a folder for each user."""

    def read(self, user_id: UUID, sha256: str) -> bytes:
        """Return the bytes of an item; StorageUnavailable if they are missing."""
        with self.store(user_id).open(sha256) as file:
            return file.read()

    def discard(self, user_id: UUID, hashes: Iterable[str]) -> int:
        """Remove bytes that no item needs any more; return how many."""
        unread = iter(hashes)
        n_removed = 0
        while group := [*itertools.islice(unread, _LOCKED_AT_ONCE)]:
            n_removed += self._discard_some(user_id, group)
        return n_removed

    def remove_unneeded(self, *, is_stopping: Callable[[], bool] = lambda: False) -> int:
        """Remove the bytes of cancelled items, and of ended items that a crash left; return how many.

        When `is_stopping` becomes true, it removes at most _REMOVED_AT_ONCE more.
        """
        n_removed = 0
        while not is_stopping() and (n := self._remove_some()):
            n_removed += n
        return n_removed

    def _remove_some(self) -> int:
        by_user: dict[UUID, list[str]] = defaultdict(list)
        rows = self._transactions.read(queries.list_unneeded, limit=_REMOVED_AT_ONCE)
        for user_id, sha256 in rows:
            by_user[user_id].append(sha256)
        return sum(self.discard(user_id, hashes) for user_id, hashes in by_user.items())

    def _discard_some(self, user_id: UUID, hashes: Sequence[str]) -> int:
        store = self.store(user_id)
        with store.lock():
            needed = self._transactions.read(queries.needed_bytes, user_id, hashes)
            unneeded = [sha256 for sha256 in hashes if sha256 not in needed]
            for sha256 in unneeded:
                store.delete(sha256)
            if unneeded:
                self._transactions.run(queries.forget_bytes, user_id, unneeded)
        return len(unneeded)


class BatchRows:
    """The rows of items with bytes, for Verification."""

    users = staticmethod(queries.users_with_bytes)
    stored_bytes = staticmethod(queries.stored_bytes)
    has_bytes = staticmethod(queries.has_bytes)

    @staticmethod
    def forget(session: Session, user_id: UUID, sha256: str, actor: Actor) -> None:
        """Store that the bytes are lost; a worker then fails the items that wait for them."""
        queries.forget_bytes(session, user_id, [sha256])
        record_loss(session, user_id, sha256, actor=actor, object_type="batch_item")
