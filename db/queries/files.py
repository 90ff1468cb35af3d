"""Work sessions, and the files in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from db.queries.pages import Position, newest_first
from db.queries.reach import Reach, work_session_in_reach, work_sessions_of
from db.tables import Batch, BatchItem, Document, File, WorkSession


def add_work_session(session: Session, work_session: WorkSession) -> None:
    """Insert a work session.

    Raises:
        IntegrityError: the user is gone.
    """
    session.add(work_session)
    session.flush()


def count_work_sessions(session: Session, user_id: UUID) -> int:
    """Return the number of a user's work sessions."""
    return session.scalar(select(func.count()).where(WorkSession.user_id == user_id)) or 0


def get_work_session(
    session: Session, reach: Reach, work_session_id: UUID, *, lock: bool = False
) -> WorkSession | None:
    """Return a work session, locked until the transaction ends if asked for; None if it is not in reach."""
    query = select(WorkSession).where(WorkSession.id == work_session_id)
    query = query.where(*work_session_in_reach(reach))
    return session.scalar(query.with_for_update() if lock else query)


def list_work_sessions(
    session: Session, reach: Reach, *, limit: int, after: Position | None = None
) -> Sequence[WorkSession]:
    """Return the work sessions in reach, newest first, past the position `after`."""
    query = select(WorkSession).where(*work_sessions_of(reach))
    return session.scalars(newest_first(query, WorkSession, after=after).limit(limit)).all()


def totals(session: Session, work_session_ids: Sequence[UUID]) -> dict[UUID, tuple[int, int]]:
    """Return number and bytes of the files of each work session; those without files are left out."""
    query = (
        select(File.work_session_id, func.count(), func.sum(File.size_bytes))
        .where(File.work_session_id.in_(work_session_ids))
        .group_by(File.work_session_id)
    )
    return {key: (n, int(size_bytes)) for key, n, size_bytes in session.execute(query)}


def delete_work_session(session: Session, work_session_id: UUID) -> None:
    """Delete a work session and the rows of its files."""
    session.execute(delete(File).where(File.work_session_id == work_session_id))
    session.execute(delete(WorkSession).where(WorkSession.id == work_session_id))


def add_file(session: Session, file: File) -> None:
    """Insert a file.

    Raises:
        IntegrityError: the user or the work session is gone.
    """
    session.add(file)
    session.flush()


def get_file(
    session: Session, reach: Reach, file_id: UUID, *, work_session_id: UUID | None = None
) -> File | None:
    """Return a file, of one work session if it is given; None if its session is not in reach."""
    query = select(File).join(WorkSession, WorkSession.id == File.work_session_id)
    in_reach = work_session_in_reach(reach)
    return session.scalar(query.where(File.id == file_id, *in_reach, *_in(work_session_id)))


def list_files(
    session: Session, work_session_id: UUID, *, limit: int, after: Position | None = None
) -> Sequence[File]:
    """Return the files of a work session, newest first, past the position `after`."""
    query = select(File).where(File.work_session_id == work_session_id)
    return session.scalars(newest_first(query, File, after=after).limit(limit)).all()


def same_file(session: Session, work_session_id: UUID, sha256: str, name: str) -> File | None:
    """Return a file of a work session with these bytes and this name."""
    query = select(File).where(File.work_session_id == work_session_id, File.sha256 == sha256)
    return session.scalars(query.where(File.name == name).limit(1)).first()


def count_files(session: Session, work_session_id: UUID) -> int:
    """Return the number of files in a work session."""
    query = select(func.count()).where(File.work_session_id == work_session_id)
    return session.scalar(query) or 0


def delete_file(session: Session, file_id: UUID) -> None:
    """Delete the row of a file."""
    session.execute(delete(File).where(File.id == file_id))


def set_pages(session: Session, user_id: UUID, file_id: UUID, pages: int) -> None:
    """Store the number of pages of a user's file."""
    session.execute(
        update(File).where(File.id == file_id, File.user_id == user_id).values(pages=pages)
    )


def used_bytes(session: Session, user_id: UUID) -> int:
    """Return the bytes of a user's files, originals and items of batches; in each the same count once.

    Of batches, only those count that have items that wait, run or failed: no others need bytes.
    """
    files = select(File.sha256, File.size_bytes).where(File.user_id == user_id)
    stored = (Document.user_id == user_id, Document.original_sha256.is_not(None))
    originals = select(Document.original_sha256, Document.size_bytes).where(*stored)
    # By batches: an index of items by user and SHA-256, which may be null, is not allowed (see r0005).
    has_bytes_left = Batch.n_waiting + Batch.n_running + Batch.n_failed > 0
    items = select(BatchItem.sha256, BatchItem.size_bytes).join(
        Batch, Batch.id == BatchItem.batch_id
    )
    items = items.where(Batch.user_id == user_id, has_bytes_left, BatchItem.sha256.is_not(None))
    once = (query.distinct().subquery() for query in (files, originals, items))
    return sum(int(session.scalar(select(func.sum(part.c.size_bytes))) or 0) for part in once)


def has_bytes(session: Session, user_id: UUID, sha256: str) -> bool:
    """Return whether a row of this user has these bytes."""
    query = select(exists().where(File.user_id == user_id, File.sha256 == sha256))
    return bool(session.scalar(query))


def bytes_of_file_alone(session: Session, file: File) -> Sequence[str]:
    """Return the file's SHA-256 if no other row of its user has it."""
    query = select(
        exists().where(*_same_user(file), File.sha256 == file.sha256, File.id != file.id)
    )
    return () if session.scalar(query) else (file.sha256,)


def bytes_of_work_session_alone(session: Session, work_session: WorkSession) -> Sequence[str]:
    """Return each SHA-256 that only files of this work session have among those of its user."""
    other = aliased(File)
    elsewhere = exists().where(
        other.user_id == work_session.user_id,
        other.sha256 == File.sha256,
        other.work_session_id != work_session.id,
    )
    query = select(File.sha256).where(File.work_session_id == work_session.id, ~elsewhere)
    return session.scalars(query.distinct()).all()


def stored_bytes(session: Session, user_id: UUID) -> dict[str, int]:
    """Return the bytes that a user's rows need: size by SHA-256."""
    query = select(File.sha256, File.size_bytes).where(File.user_id == user_id)
    return {row.sha256: row.size_bytes for row in session.execute(query.distinct())}


def users_with_files(session: Session) -> set[UUID]:
    """Return the ids of all users that have files."""
    return set(session.scalars(select(File.user_id).distinct()))


def files_with_bytes(session: Session, user_id: UUID, sha256: str) -> Sequence[File]:
    """Return the rows of a user that have these bytes."""
    query = select(File).where(File.user_id == user_id, File.sha256 == sha256)
    return session.scalars(query.order_by(File.id)).all()


def _in(work_session_id: UUID | None) -> tuple[Any, ...]:
    return () if work_session_id is None else (File.work_session_id == work_session_id,)


def _same_user(file: File) -> tuple[Any, ...]:
    return (File.user_id == file.user_id,)
