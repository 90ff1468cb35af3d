"""What search knows of lessons: its rows, the lessons that lack one, and the matches that a user may see."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, delete, func, insert, or_, select
from sqlalchemy.orm import Session

from db.queries.full_text import best_matches
from db.queries.pages import Position, newest_first
from db.tables import Course, CourseStatus, CourseTopic, Lesson, SearchLesson, TopicKind


@dataclass(frozen=True, slots=True)
class LessonReach:
    """The lessons of courses with one of these statuses, and with one of the topics if any are given."""

    statuses: frozenset[CourseStatus]
    topics: Collection[tuple[TopicKind, str]] | None = None


@dataclass(frozen=True, slots=True)
class ShownLesson:
    """A lesson with its course, and its passages as search knows them; none if it does not know it yet."""

    lesson: Lesson
    course: Course
    passages: Sequence[str]


def unindexed_lessons(
    session: Session, model: str | None, *, after: Position | None, limit: int
) -> Sequence[Row[UUID, datetime, bool]]:
    """Return id, created_at and whether search lacks it of up to `limit` lessons, newest first, past `after`.

    Search lacks a lesson if it knows another version, or no vectors of `model`; None is a model without any.
    """
    is_known = (SearchLesson.lesson_id == Lesson.id) & (SearchLesson.version == Lesson.version)
    if model is not None:
        is_known &= SearchLesson.model == model
    lacks = ~select(SearchLesson.id).where(is_known).exists()
    query = select(Lesson.id, Lesson.created_at, lacks.label("is_missing"))
    paged = newest_first(cast("Select[Any]", query), Lesson, after=after)
    return session.execute(paged.limit(limit)).all()


def count_all_lessons(session: Session) -> int:
    """Return the number of all lessons."""
    return session.scalar(select(func.count()).select_from(Lesson)) or 0


def is_known(session: Session, lesson: Lesson, model: str | None) -> bool:
    """Return whether search knows this version of a lesson, with vectors of `model` unless that is None."""
    query = select(SearchLesson.id).where(
        SearchLesson.lesson_id == lesson.id, SearchLesson.version == lesson.version
    )
    if model is not None:
        query = query.where(SearchLesson.model == model)
    return session.scalar(query) is not None


def put_lesson(
    session: Session,
    lesson: Lesson,
    *,
    passages: Sequence[str],
    words: str,
    model: str | None,
    vectors: bytes | None,
) -> bool:
    """Replace what search knows of a lesson; False if the lesson is gone or has another version meanwhile.

    Raises:
        IntegrityError: another process has added it.
    """
    # The lock keeps an older version from being stored after a newer one.
    query = select(Lesson.version).where(Lesson.id == lesson.id).with_for_update()
    if session.scalar(query) != lesson.version:
        return False
    session.execute(delete(SearchLesson).where(SearchLesson.lesson_id == lesson.id))
    row = {"lesson_id": lesson.id, "version": lesson.version, "passages": "\n".join(passages)}
    row |= {"words": words, "model": model, "vectors": vectors}
    session.connection().execute(insert(SearchLesson), [row])
    return True


def lessons_by_words(
    session: Session, terms: Sequence[str], reach: LessonReach, *, limit: int
) -> Sequence[UUID]:
    """Return up to `limit` lessons in reach with any of the terms, best first."""
    if not terms:
        return []
    query = best_matches(session, select(SearchLesson.lesson_id), SearchLesson, terms)
    found: Sequence[UUID] = session.scalars(_in_reach(query, reach).limit(limit)).all()
    return found


def count_lessons(session: Session, reach: LessonReach) -> int:
    """Return the number of lessons in reach."""
    query = select(func.count()).select_from(Lesson).join(Course, Course.id == Lesson.course_id)
    return session.scalar(query.where(*_conditions(reach))) or 0


def with_vectors(session: Session, reach: LessonReach, model: str) -> Sequence[tuple[UUID, int]]:
    """Return id and version of the lessons in reach that have vectors by a model."""
    query = _with_vectors(select(SearchLesson.lesson_id, SearchLesson.version), reach, model)
    return [(lesson_id, version) for lesson_id, version in session.execute(query)]


def read_vectors(
    session: Session, reach: LessonReach, model: str
) -> Sequence[Row[UUID, int, bytes]]:
    """Return the same in the same order, and the vectors."""
    columns = (SearchLesson.lesson_id, SearchLesson.version, SearchLesson.vectors)
    rows: Sequence[Row[UUID, int, bytes]] = session.execute(
        _with_vectors(select(*columns), reach, model)
    ).all()
    return rows


def lessons_at(
    session: Session, reach: LessonReach, ids: Collection[UUID]
) -> dict[UUID, ShownLesson]:
    """Return those of the lessons that are in reach, by id."""
    if not ids:
        return {}
    query = select(Lesson, Course, SearchLesson.passages)
    query = query.join(Course, Course.id == Lesson.course_id)
    query = query.outerjoin(SearchLesson, SearchLesson.lesson_id == Lesson.id)
    rows = session.execute(query.where(Lesson.id.in_(ids), *_conditions(reach)))
    return {
        lesson.id: ShownLesson(lesson, course, (passages or "").split("\n"))
        for lesson, course, passages in rows
    }


def _with_vectors(query: Any, reach: LessonReach, model: str) -> Any:  # noqa: ANN401 - as below
    query = _in_reach(query, reach).where(SearchLesson.model == model)
    return query.order_by(SearchLesson.lesson_id)


def _in_reach(query: Any, reach: LessonReach) -> Any:  # noqa: ANN401 - a Select of any columns
    query = query.join(Lesson, Lesson.id == SearchLesson.lesson_id)
    return query.join(Course, Course.id == Lesson.course_id).where(*_conditions(reach))


def _conditions(reach: LessonReach) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [Course.status.in_(sorted(reach.statuses))]
    if reach.topics is not None:
        is_about = or_(
            *(
                (CourseTopic.kind == kind) & (CourseTopic.topic == topic)
                for kind, topic in reach.topics
            )
        )
        of = CourseTopic.course_id == Course.id
        conditions.append(select(CourseTopic.course_id).where(of, is_about).exists())
    return conditions
