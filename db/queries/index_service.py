"""What the external index service is to have: documents and lessons with their readers; teams of a reader."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from db.tables import Course, CourseStatus, Document, DocumentShare, Lesson, Scan, TeamMember


@dataclass(frozen=True, slots=True)
class IndexedItem:
    """A document or a lesson without its text, which is the same as long as `text_state` is.

    The owner may read it, and who is in one of `team_ids`, which are in order. A lesson without an owner is
    for everybody.
    """

    id: UUID
    kind: Literal["document", "lesson"]
    title: str
    text_state: str
    owner_id: UUID | None = None
    team_ids: tuple[UUID, ...] = ()


def items_after(session: Session, after: UUID | None, *, limit: int) -> Sequence[IndexedItem]:
    """Return up to `limit` items with an id above `after`, in the order of their ids.

    They are all documents, and the lessons of active courses.
    """
    documents, lessons = _DOCUMENTS.order_by(Document.id), _LESSONS.order_by(Lesson.id)
    if after is not None:
        documents, lessons = documents.where(Document.id > after), lessons.where(Lesson.id > after)
    found = _documents(session, documents.limit(limit)) + _lessons(session, lessons.limit(limit))
    return sorted(found, key=lambda item: item.id)[:limit]


def document_of_scan(session: Session, scan_id: UUID) -> IndexedItem | None:
    """Return the document of a scan; None if the scan is gone or has none."""
    query = _DOCUMENTS.join(Scan, Scan.document_id == Document.id).where(Scan.id == scan_id)
    return next(iter(_documents(session, query)), None)


def active_lesson(session: Session, lesson_id: UUID) -> IndexedItem | None:
    """Return a lesson; None if it is gone, or its course is not active."""
    return next(iter(_lessons(session, _LESSONS.where(Lesson.id == lesson_id))), None)


def teams_of(session: Session, user_id: UUID) -> Sequence[UUID]:
    """Return the teams of a user."""
    return session.scalars(select(TeamMember.team_id).where(TeamMember.user_id == user_id)).all()


_DOCUMENTS = select(Document.id, Document.name, Document.user_id, Document.text_stored)
_LESSONS = (
    select(Lesson.id, Lesson.title, Lesson.version)
    .join(Course, Course.id == Lesson.course_id)
    .where(Course.status == CourseStatus.ACTIVE)
)


def _documents(session: Session, query: Select[*tuple[Any, ...]]) -> list[IndexedItem]:
    rows = session.execute(query).all()
    teams = _teams(session, [row.id for row in rows])
    return [
        IndexedItem(
            row.id, "document", row.name or "", row.text_stored, row.user_id, teams.get(row.id, ())
        )
        for row in rows
    ]


def _lessons(session: Session, query: Select[*tuple[Any, ...]]) -> list[IndexedItem]:
    rows = session.execute(query)
    return [IndexedItem(row.id, "lesson", row.title, str(row.version)) for row in rows]


def _teams(session: Session, document_ids: Sequence[UUID]) -> dict[UUID, tuple[UUID, ...]]:
    if not document_ids:
        return {}
    query = select(DocumentShare.document_id, DocumentShare.team_id)
    teams: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for document_id, team_id in session.execute(
        query.where(DocumentShare.document_id.in_(document_ids))
    ):
        teams[document_id].append(team_id)
    return {document_id: tuple(sorted(found)) for document_id, found in teams.items()}
