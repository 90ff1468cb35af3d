"""Files of work sessions: rows in the database, bytes in a store for each user.

Bytes are written before their row is committed and removed after its deletion. So a crash leaves bytes
without a row, which `verify` removes, and never a row without bytes. The same bytes of one user are stored
once, until the last row that has them is deleted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_missing_parent
from db.queries import files as queries
from db.queries.pages import Position
from db.queries.reach import Reach, own
from db.tables import File
from service.domain.audit import Action, Actor, event, record
from service.domain.files import work_sessions
from service.domain.files.file_range import FileRange
from service.domain.files.file_store import FileStore, Readable, StoredFile
from service.domain.files.user_stores import UserStores, check_quota, keeping
from service.domain.transactions import Transactions
from service.errors import NotFound, TooLarge

MAX_FILES = 1000
"""Most files of one work session, so that a request can name them all."""
FOLDER = "files"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as a client sends it: its name, its media type, and a stream of its bytes."""

    name: str
    media_type: str
    stream: Readable


class Files(UserStores):
    """The files of all users, below one folder that has a folder for each user."""

    def __init__(
        self, transactions: Transactions, folder: Path, *, quota_bytes: int, max_bytes: int
    ) -> None:
        """`quota_bytes` is the limit of each user, `max_bytes` that of each file."""
        super().__init__(transactions, folder)
        self._quota_bytes = quota_bytes
        self._max_bytes = max_bytes

    def add(
        self, user_id: UUID, work_session_id: UUID, upload: Upload, *, again: bool = True
    ) -> File:
        """Store a file in a work session.

        Without `again`, return the file of the session that has the same name and bytes, if there is one.

        Raises:
            NotFound: the user has no such work session.
            TooLarge: the file, the user's quota or the work session's number of files exceeds its limit.
            StorageUnavailable: see FileStore; nothing was stored.
            DatabaseUnavailable: see Transactions.run.
        """
        self._transactions.read(work_sessions.require, own(user_id), work_session_id)
        store = self.store(user_id)
        stream = _Limited(upload.stream, self._max_bytes)
        with store.receive(stream) as incoming, store.lock():
            new = _NewFile(
                user_id, work_session_id, upload.name, upload.media_type, incoming.stored, again
            )
            with keeping(store, incoming), _deleted_work_session():
                return self._transactions.run(_add_file, new, self._quota_bytes)

    def get(self, user_id: UUID, file_id: UUID, *, work_session_id: UUID | None = None) -> File:
        """Return a user's file, of one work session if it is given; NotFound for another user's."""
        return self._transactions.read(require_file, own(user_id), file_id, work_session_id)

    def open(self, file: File, *, start: int = 0, end: int | None = None) -> FileRange:
        """Return the bytes of a file from `start` to `end` (exclusive); see FileStore.open."""
        return self.store(file.user_id).open(file.sha256, start=start, end=end)

    def delete(self, user_id: UUID, work_session_id: UUID, file_id: UUID) -> None:
        """Delete a file, and its bytes if no other file has them; NotFound as in `get`."""
        self.get(user_id, file_id, work_session_id=work_session_id)
        store = self.store(user_id)
        with store.lock():
            unused = self._transactions.run(_delete_file, user_id, file_id)
            _remove(store, unused)

    def delete_work_session(self, user_id: UUID, work_session_id: UUID) -> None:
        """Delete a work session with its files, and the bytes that only these have; NotFound as in `get`."""
        self._transactions.read(work_sessions.require, own(user_id), work_session_id)
        store = self.store(user_id)
        with store.lock():
            unused = self._transactions.run(_delete_work_session, user_id, work_session_id)
            _remove(store, unused)


def list_files(
    session: Session, reach: Reach, work_session_id: UUID, *, limit: int, after: Position | None
) -> Sequence[File]:
    """Return the files of a work session, newest first; NotFound if it is not in reach."""
    work_sessions.require(session, reach, work_session_id)
    return queries.list_files(session, work_session_id, limit=limit, after=after)


def require_file(
    session: Session, reach: Reach, file_id: UUID, work_session_id: UUID | None = None
) -> File:
    """Return a file, of one work session if it is given; NotFound if its session is not in reach."""
    file = queries.get_file(session, reach, file_id, work_session_id=work_session_id)
    if file is None:
        place = "" if work_session_id is None else " in this session"
        raise NotFound(f"You have no file with this id{place}.")
    return file


def set_pages(session: Session, file: File, pages: int | None) -> None:
    """Store the number of pages that a scan counted."""
    if pages is not None and pages != file.pages:
        queries.set_pages(session, file.user_id, file.id, pages)


def choose_files(
    session: Session, user_id: UUID, work_session_id: UUID, file_ids: Sequence[UUID] | None
) -> Sequence[File]:
    """Return files of a user's work session in the order of `file_ids`; without these all, oldest first.

    Raises:
        NotFound: the user has no such work session, or it has no such file.
    """
    work_sessions.require(session, own(user_id), work_session_id)
    newest_first = queries.list_files(session, work_session_id, limit=MAX_FILES)
    by_id = {file.id: file for file in reversed(newest_first)}
    if file_ids is None:
        return list(by_id.values())
    if missing := [file_id for file_id in file_ids if file_id not in by_id]:
        raise NotFound(f"This session has no file {missing[0]}.")
    return [by_id[file_id] for file_id in dict.fromkeys(file_ids)]


@dataclass(frozen=True, slots=True)
class _NewFile:
    """A file to be stored, as values: each run of a transaction needs a row of its own."""

    user_id: UUID
    work_session_id: UUID
    name: str
    media_type: str
    stored: StoredFile
    again: bool


class _Limited:
    """A stream that raises TooLarge beyond `max_bytes`."""

    def __init__(self, stream: Readable, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._n_read = 0

    def read(self, n: int, /) -> bytes:
        block = self._stream.read(n)
        self._n_read += len(block)
        if self._n_read > self._max_bytes:
            raise TooLarge(
                f"The file is larger than the {self._max_bytes:,} bytes that this service stores "
                "(MAX_UPLOAD_BYTES)."
            )
        return block


@contextlib.contextmanager
def _deleted_work_session() -> Iterator[None]:
    """Map the missing row of a work session that another request deleted to NotFound."""
    try:
        yield
    except IntegrityError as error:
        if is_missing_parent(error):
            raise NotFound(
                "This session was deleted meanwhile; upload into another one."
            ) from error
        raise


def _add_file(session: Session, new: _NewFile, quota_bytes: int) -> File:
    work_sessions.require(session, own(new.user_id), new.work_session_id)
    same = queries.same_file(session, new.work_session_id, new.stored.sha256, new.name)
    if same is not None and not new.again:
        return same
    _check_limits(session, new, quota_bytes)
    file = File(
        id=uuid_utils.compat.uuid7(),
        user_id=new.user_id,
        work_session_id=new.work_session_id,
        name=new.name,
        media_type=new.media_type,
        size_bytes=new.stored.size_bytes,
        sha256=new.stored.sha256,
        created_at=datetime.now(UTC),
    )
    queries.add_file(session, file)
    _record(session, Action.FILE_ADDED, file, size_bytes=file.size_bytes)
    return file


def _check_limits(session: Session, new: _NewFile, quota_bytes: int) -> None:
    if queries.count_files(session, new.work_session_id) >= MAX_FILES:
        raise TooLarge(f"A session holds at most {MAX_FILES:,} files; create another one.")
    if queries.has_bytes(session, new.user_id, new.stored.sha256):
        return
    check_quota(
        queries.used_bytes(session, new.user_id),
        new.stored.size_bytes,
        quota_bytes=quota_bytes,
        remedy="Delete files, sessions or documents that you no longer need.",
    )


def _delete_file(session: Session, user_id: UUID, file_id: UUID) -> Sequence[str]:
    """Delete the row; return the hashes of bytes that no row refers to any more."""
    file = require_file(session, own(user_id), file_id)
    unused = queries.bytes_of_file_alone(session, file)
    queries.delete_file(session, file_id)
    _record(session, Action.FILE_DELETED, file)
    return unused


def _delete_work_session(session: Session, user_id: UUID, work_session_id: UUID) -> Sequence[str]:
    """Delete the rows; return the hashes of bytes that no row refers to any more."""
    work_session = work_sessions.require(session, own(user_id), work_session_id)
    unused = queries.bytes_of_work_session_alone(session, work_session)
    n_files = queries.count_files(session, work_session_id)
    queries.delete_work_session(session, work_session_id)
    deleted = event(
        Action.WORK_SESSION_DELETED,
        actor=Actor(user_id),
        object_type="work_session",
        object_id=work_session_id,
        detail={"n_files": n_files},
    )
    record(session, deleted)
    return unused


def _remove(store: FileStore, unused: Sequence[str]) -> None:
    for sha256 in unused:
        store.delete(sha256)


def _record(session: Session, action: Action, file: File, **detail: object) -> None:
    actor = Actor(file.user_id)
    record(
        session,
        event(action, actor=actor, object_type="file", object_id=file.id, detail=detail),
    )
