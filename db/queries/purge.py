"""What is past retention: whose rows, how many, and which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.orm import Session

from db.queries.settings import list_retentions
from db.tables import OPEN_STATES, Batch, Document, File, Scan, WorkSession

_DATED = (Scan, File, WorkSession, Batch)


@dataclass(frozen=True, slots=True)
class Due:
    """How many rows of a user are past retention; `originals` are those of the documents."""

    scans: int = 0
    documents: int = 0
    originals: int = 0
    files: int = 0
    sessions: int = 0
    batches: int = 0

    @property
    def any(self) -> bool:
        return bool(self.scans or self.files or self.sessions or self.batches)


def list_cutoffs(session: Session, *, days: int | None, now: datetime) -> dict[UUID, datetime]:
    """Return for users with a retention the time before which their rows are past it.

    `days` is the retention of all users; a user's own shorter one takes precedence. Users who have no rows
    past `days` may be left out.
    """
    own = dict(list_retentions(session))
    cutoffs = {
        user_id: now - timedelta(days=min(n_days, days or n_days))
        for user_id, n_days in own.items()
    }
    if days is not None:
        before = now - timedelta(days=days)
        for table in _DATED:
            old = select(table.user_id).where(table.created_at < before).distinct()
            cutoffs = dict.fromkeys(session.scalars(old), before) | cutoffs
    return cutoffs


def count_due(session: Session, user_id: UUID, before: datetime) -> Due:
    """Count the rows of a user that are past retention: those from before a time."""
    scans = select(func.count()).where(Scan.user_id == user_id, Scan.created_at < before)
    files = select(func.count()).where(File.user_id == user_id, File.created_at < before)
    sessions = select(func.count()).where(*_is_old_session(user_id, before))
    ended = (Batch.created_at < before, Batch.state.not_in(OPEN_STATES))
    batches = select(func.count()).where(Batch.user_id == user_id, *ended)
    of_document = Scan.document_id == Document.id
    documents = select(func.count(), func.count(Document.original_sha256)).where(
        Document.user_id == user_id,
        exists().where(of_document, Scan.created_at < before),
        ~exists().where(of_document, Scan.created_at >= before),
    )
    n_documents, n_originals = session.execute(documents).one()
    return Due(
        scans=session.scalar(scans) or 0,
        documents=n_documents,
        originals=n_originals,
        files=session.scalar(files) or 0,
        sessions=session.scalar(sessions) or 0,
        batches=session.scalar(batches) or 0,
    )


def list_old_files(
    session: Session, user_id: UUID, *, before: datetime, limit: int
) -> Sequence[File]:
    """Return up to `limit` files that a user added before a time."""
    query = select(File).where(File.user_id == user_id, File.created_at < before)
    return session.scalars(query.limit(limit)).all()


def delete_old_sessions(session: Session, user_id: UUID, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` work sessions from before a time that have no file; return how many."""
    no_file = ~exists().where(File.work_session_id == WorkSession.id)
    old = select(WorkSession.id).where(
        WorkSession.user_id == user_id, WorkSession.created_at < before, no_file
    )
    ids = session.scalars(old.limit(limit)).all()
    if not ids:
        return 0
    removal = delete(WorkSession).where(WorkSession.id.in_(ids))
    return session.connection().execute(removal).rowcount


def _is_old_session(user_id: UUID, before: datetime) -> tuple[ColumnElement[bool], ...]:
    newer = exists().where(File.work_session_id == WorkSession.id, File.created_at >= before)
    return WorkSession.user_id == user_id, WorkSession.created_at < before, ~newer
