"""The original bytes of uploaded documents: rows in the database, bytes in a store for each user.

Bytes are written before their row is committed and removed after its deletion, as for the files of work
sessions: a crash leaves bytes without a row, never a row without bytes. The same bytes of one user are stored
once, until the last document that has them is deleted.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import originals as queries
from db.queries.files import used_bytes
from db.tables import Document
from service.domain.audit import Actor
from service.domain.files.file_range import FileRange
from service.domain.files.user_stores import UserStores, check_quota, keeping
from service.domain.files.verification import record_loss
from service.domain.transactions import Transactions
from service.errors import NotFound

FOLDER = "originals"


class Originals(UserStores):
    """The originals of all users, below one folder that has a folder for each user."""

    def __init__(self, transactions: Transactions, folder: Path, *, quota_bytes: int) -> None:
        """`quota_bytes` is the limit of each user, for files of sessions and originals together."""
        super().__init__(transactions, folder)
        self._quota_bytes = quota_bytes

    @contextlib.contextmanager
    def keeping(self, user_id: UUID, data: bytes) -> Iterator[None]:
        """Store bytes, and remove them again if the block, which stores their row, fails.

        Bytes that another document of the user has need no quota, and stay.

        Raises:
            TooLarge: the user's quota would be exceeded; nothing was stored.
            StorageUnavailable: see FileStore; nothing was stored.
        """
        store = self.store(user_id)
        with store.receive(io.BytesIO(data)) as incoming, store.lock():
            if not store.has(incoming.stored.sha256):
                check_quota(
                    self._transactions.read(used_bytes, user_id),
                    incoming.stored.size_bytes,
                    quota_bytes=self._quota_bytes,
                    remedy="Delete some, or set store_original to false.",
                )
            with keeping(store, incoming):
                yield

    def open(self, document: Document, *, start: int = 0, end: int | None = None) -> FileRange:
        """Return the bytes of a document from `start` to `end` (exclusive); see FileStore.open.

        Raises:
            NotFound: they are not stored.
        """
        return self.store(document.user_id).open(original_sha256(document), start=start, end=end)

    def discard(self, user_id: UUID, deleted: Sequence[str]) -> None:
        """Remove bytes by the hashes of deleted documents, unless another document has them."""
        if not deleted:
            return
        store = self.store(user_id)
        with store.lock():
            for sha256 in deleted:
                if not self._transactions.read(queries.has_bytes, user_id, sha256):
                    store.delete(sha256)


class OriginalRows:
    """The rows of documents with an original, for Verification."""

    users = staticmethod(queries.users_with_originals)
    stored_bytes = staticmethod(queries.stored_bytes)
    has_bytes = staticmethod(queries.has_bytes)

    @staticmethod
    def forget(session: Session, user_id: UUID, sha256: str, actor: Actor) -> None:
        """Store that the bytes are lost; the documents stay."""
        queries.forget_bytes(session, user_id, sha256)
        record_loss(session, user_id, sha256, actor=actor, object_type="original")


def original_sha256(document: Document) -> str:
    """Return the hash of a document's original; NotFound if it is not stored."""
    if document.original_sha256 is None:
        raise NotFound(
            "The original of this document is not stored. The service stores the originals of later uploads "
            "if their owner sets store_original to true; store_text in the same settings and STORE_TEXT must "
            "be full."
        )
    return document.original_sha256
