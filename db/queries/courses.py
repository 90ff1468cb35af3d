"""Courses, their topics and their files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from db.queries.pages import Position, newest_first
from db.tables import (
    Course,
    CourseFile,
    CourseFilePiece,
    CourseStatus,
    CourseTopic,
    Lesson,
    TopicKind,
)

Topics = Mapping[TopicKind, Sequence[str]]
"""Keys of categories and of risk types, each sorted."""


@dataclass(frozen=True, slots=True)
class CourseFilter:
    """What a list of courses shows; None or empty is no condition."""

    status: CourseStatus | None = None
    category: str | None = None
    risk_type: str | None = None
    search: str = ""


def add_course(session: Session, course: Course) -> None:
    """Insert a course.

    Raises:
        IntegrityError: another course has the code.
    """
    session.add(course)
    session.flush()


def get_course(session: Session, course_id: UUID, *, lock: bool = False) -> Course | None:
    """Return a course; with `lock`, other changes of it wait until this transaction ends."""
    query = select(Course).where(Course.id == course_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.scalar(query)


def list_courses(
    session: Session, filters: CourseFilter, *, limit: int, after: Position | None = None
) -> Sequence[Course]:
    """Return up to `limit` courses, newest first, past `after`; `search` is in code, title or description."""
    query = newest_first(select(Course), Course, after=after)
    if filters.status is not None:
        query = query.where(Course.status == filters.status)
    for kind, topic in (
        (TopicKind.CATEGORY, filters.category),
        (TopicKind.RISK_TYPE, filters.risk_type),
    ):
        if topic is not None:
            is_taught = (CourseTopic.course_id == Course.id, CourseTopic.kind == kind)
            query = query.where(exists().where(*is_taught, CourseTopic.topic == topic))
    if part := filters.search.lower():
        texts = (Course.code, Course.title, Course.description)
        query = query.where(
            or_(*(func.lower(text).contains(part, autoescape=True) for text in texts))
        )
    return session.scalars(query.limit(limit)).all()


def list_active(session: Session, *, limit: int) -> Sequence[Course]:
    """Return up to `limit` active courses, by code."""
    query = select(Course).where(Course.status == CourseStatus.ACTIVE).order_by(Course.code)
    return session.scalars(query.limit(limit)).all()


def delete_course(session: Session, course_id: UUID) -> None:
    """Delete a course with its lessons, files, enrolments and their progress."""
    session.execute(delete(Course).where(Course.id == course_id))


def touch(session: Session, course_id: UUID, *, at: datetime) -> None:
    """Count a change of a course's lessons or files as one of the course."""
    values = {"version": Course.version + 1, "updated_at": at}
    changed = update(Course).where(Course.id == course_id).values(values)
    session.execute(changed.execution_options(synchronize_session=False))


def topics_of(session: Session, course_ids: Collection[UUID]) -> dict[UUID, Topics]:
    """Return the topics of each of the courses."""
    found: dict[UUID, dict[TopicKind, list[str]]] = {
        course_id: {kind: [] for kind in TopicKind} for course_id in course_ids
    }
    query = select(CourseTopic).where(CourseTopic.course_id.in_(course_ids))
    for row in session.scalars(query.order_by(CourseTopic.topic)):
        found[row.course_id][TopicKind(row.kind)].append(row.topic)
    return {**found}


def set_topics(session: Session, course_id: UUID, kind: TopicKind, topics: Collection[str]) -> None:
    """Replace the topics of one kind of a course."""
    of = (CourseTopic.course_id == course_id, CourseTopic.kind == kind)
    session.execute(delete(CourseTopic).where(*of))
    rows = [{"course_id": course_id, "kind": kind, "topic": topic} for topic in {*topics}]
    if rows:
        session.execute(insert(CourseTopic), rows)


def count_lessons(session: Session, course_ids: Collection[UUID]) -> dict[UUID, int]:
    """Return the number of lessons of each course that has any."""
    query = select(Lesson.course_id, func.count()).where(Lesson.course_id.in_(course_ids))
    return {row[0]: row[1] for row in session.execute(query.group_by(Lesson.course_id))}


def list_files(session: Session, course_id: UUID) -> Sequence[CourseFile]:
    """Return the files of a course, by name."""
    query = select(CourseFile).where(CourseFile.course_id == course_id)
    return session.scalars(query.order_by(CourseFile.name)).all()


def get_file(session: Session, course_id: UUID, file_id: UUID) -> CourseFile | None:
    """Return a file of a course; None for another course's."""
    of = (CourseFile.id == file_id, CourseFile.course_id == course_id)
    return session.scalar(select(CourseFile).where(*of))


def add_file(session: Session, file: CourseFile, pieces: Sequence[bytes]) -> None:
    """Insert a file with its bytes.

    Raises:
        IntegrityError: the course has a file of this name, or is gone.
    """
    session.add(file)
    session.flush()
    for n, data in enumerate(pieces, start=1):
        session.execute(insert(CourseFilePiece), [{"file_id": file.id, "n": n, "data": data}])


def read_file(session: Session, file_id: UUID) -> bytes:
    """Return the bytes of a file."""
    query = select(CourseFilePiece.data).where(CourseFilePiece.file_id == file_id)
    return b"".join(session.scalars(query.order_by(CourseFilePiece.n)))


def delete_file(session: Session, file_id: UUID) -> None:
    """Delete a file with its bytes."""
    session.execute(delete(CourseFile).where(CourseFile.id == file_id))
