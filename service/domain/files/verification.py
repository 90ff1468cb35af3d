"""Compares the bytes on disk with the rows of files, and repairs what a crash or a lost disk left behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import files as queries
from service.domain.audit import Action, Actor, event, record
from service.domain.files.file_store import FileStore
from service.domain.files.user_folders import user_folder, users_with_folder
from service.domain.transactions import Transactions


class Fault(StrEnum):
    """What is wrong with one item; the value is what the command prints."""

    LEFTOVER = "left-over temporary file"
    WITHOUT_ROW = "bytes without a row"
    WRONG_HASH = "bytes that changed"
    MISSING = "row without bytes"


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of one user's files; `name` is a hash, or the name of a temporary file."""

    user_id: UUID
    fault: Fault
    name: str


class Rows(Protocol):
    """The rows whose bytes are verified."""

    def users(self, session: Session, /) -> set[UUID]:
        """Return the users that have such rows."""
        ...

    def stored_bytes(self, session: Session, user_id: UUID, /) -> dict[str, int]:
        """Return the bytes that a user's rows need: size by SHA-256."""
        ...

    def has_bytes(self, session: Session, user_id: UUID, sha256: str, /) -> bool:
        """Return whether a row of this user has these bytes."""
        ...

    def forget(self, session: Session, user_id: UUID, sha256: str, actor: Actor, /) -> None:
        """Delete or change the rows whose bytes are lost."""
        ...


class FileRows:
    """The rows of files in work sessions; those whose bytes are lost are deleted."""

    users = staticmethod(queries.users_with_files)
    stored_bytes = staticmethod(queries.stored_bytes)
    has_bytes = staticmethod(queries.has_bytes)

    @staticmethod
    def forget(session: Session, user_id: UUID, sha256: str, actor: Actor) -> None:
        """Delete the rows."""
        for file in queries.files_with_bytes(session, user_id, sha256):
            queries.delete_file(session, file.id)
            record_loss(
                session, user_id, sha256, actor=actor, object_type="file", object_id=file.id
            )


def record_loss(
    session: Session,
    user_id: UUID,
    sha256: str,
    *,
    actor: Actor,
    object_type: str,
    object_id: UUID | None = None,
) -> None:
    """Add the loss of a user's bytes to the audit trail."""
    lost = event(
        Action.FILE_LOST,
        actor=actor,
        object_type=object_type,
        object_id=object_id,
        detail={"owner_id": str(user_id), "sha256": sha256},
    )
    record(session, lost)


class Verification:
    """Checks the files of all users; locks those of one user only to check or repair one item."""

    def __init__(
        self, transactions: Transactions, folder: Path, rows: Rows, *, repair: bool, actor: Actor
    ) -> None:
        """With `repair`, remove what cannot be used, and repair the rows whose bytes are lost."""
        self._transactions = transactions
        self._folder = folder
        self._rows = rows
        self._repair = repair
        self._actor = actor

    def run(self) -> Iterator[Finding]:
        """Yield each fault; with `repair`, repair it first. Reads all stored bytes."""
        users = self._transactions.read(self._rows.users) | users_with_folder(self._folder)
        for user_id in sorted(users):
            store = FileStore(user_folder(self._folder, user_id))
            with store.lock():
                leftovers = store.leftovers()
                for name in leftovers if self._repair else ():
                    store.remove_leftover(name)
            yield from (Finding(user_id, Fault.LEFTOVER, name) for name in leftovers)
            yield from self._check_bytes(user_id, store)

    def _check_bytes(self, user_id: UUID, store: FileStore) -> Iterator[Finding]:
        needed = self._transactions.read(self._rows.stored_bytes, user_id)
        stored = {stored.sha256 for stored in store.sizes()}
        for sha256 in sorted(needed.keys() | stored):
            # Uploads and deletions continue, so a fault counts only if it is still there under the lock.
            if self._fault(user_id, store, sha256) is None:
                continue
            with store.lock():
                fault = self._fault(user_id, store, sha256)
                if fault and self._repair:
                    self._repair_item(user_id, store, sha256, fault)
            if fault:
                yield Finding(user_id, fault, sha256)

    def _fault(self, user_id: UUID, store: FileStore, sha256: str) -> Fault | None:
        if not self._transactions.read(self._rows.has_bytes, user_id, sha256):
            return Fault.WITHOUT_ROW if store.has(sha256) else None
        if not store.has(sha256):
            return Fault.MISSING
        return None if store.digest(sha256).sha256 == sha256 else Fault.WRONG_HASH

    def _repair_item(self, user_id: UUID, store: FileStore, sha256: str, fault: Fault) -> None:
        """Remove rows first: a crash between leaves bytes without a row, which the next run removes."""
        if fault is not Fault.WITHOUT_ROW:
            self._transactions.run(self._rows.forget, user_id, sha256, self._actor)
        store.delete(sha256)
