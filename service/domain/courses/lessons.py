"""Use cases of lessons: write, change, reorder, delete, and show one to a learner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.orm import Session

from db.queries import courses as course_queries
from db.queries import lessons as queries
from db.tables import Lesson, LessonProgress, User
from service.domain.audit import Action, Actor, event, record
from service.domain.courses.courses import (
    lock_course,
    record_part,
    sees_all,
    visible_course,
)
from service.domain.courses.rendering import render
from service.domain.versions import Expected, check_version
from service.errors import Conflict, Fault, InvalidRequest, NotFound

MAX_LESSONS = 100
MAX_SOURCE_CHARS = 20_000
"""The parser needs quadratic time for some texts: 20,000 brackets took 1.2 s on two busy Zen 5 cores."""
_NOT_FOUND = "The course has no lesson with this id."


@dataclass(frozen=True, slots=True)
class LessonView:
    """A lesson as a user may see it: `source` and right answers are for those who may change courses."""

    lesson: Lesson
    html: str | None
    progress: LessonProgress | None
    is_author: bool

    @property
    def source(self) -> str | None:
        """The Markdown; None for learners."""
        return self.lesson.source if self.is_author else None

    @property
    def quiz(self) -> list[dict[str, Any]]:
        """The questions; `answers` is None for learners."""
        hidden = {} if self.is_author else {"answers": None}
        return [{**question, **hidden} for question in self.lesson.quiz or ()]


@dataclass(frozen=True, slots=True)
class ListedLesson:
    """A lesson of a list, and what the user did with it."""

    lesson: Lesson
    progress: LessonProgress | None


def list_lessons(session: Session, user: User, course_id: UUID) -> list[ListedLesson]:
    """Return the lessons of a course that the user may see, in their order; NotFound for other courses."""
    visible_course(session, user, course_id)
    lessons = queries.list_lessons(session, course_id)
    progress = queries.progress_by_lesson(session, user.id, [lesson.id for lesson in lessons])
    return [ListedLesson(lesson, progress.get(lesson.id)) for lesson in lessons]


def get_lesson(session: Session, user: User, course_id: UUID, lesson_id: UUID) -> LessonView:
    """Return a lesson with its HTML; NotFound unless the user may see its course."""
    visible_course(session, user, course_id)
    lesson = queries.get_lesson(session, lesson_id, course_id=course_id)
    if lesson is None:
        raise NotFound(_NOT_FOUND)
    return _view(session, user, lesson)


def preview(session: Session, user: User, course_id: UUID, source: str) -> str:
    """Return the HTML of Markdown that is not stored yet; NotFound if there is no such course."""
    visible_course(session, user, course_id)
    return render(source, course_queries.list_files(session, course_id))


def create_lesson(
    session: Session, user: User, course_id: UUID, fields: Mapping[str, Any]
) -> LessonView:
    """Add a lesson at the end of a course, from all its fields: title, source, minutes and quiz.

    Raises:
        NotFound: there is no such course.
        Conflict: the course has MAX_LESSONS lessons.
    """
    lock_course(session, course_id)
    position = queries.next_position(session, course_id)
    if course_queries.count_lessons(session, [course_id]).get(course_id, 0) >= MAX_LESSONS:
        raise Conflict(f"A course has at most {MAX_LESSONS} lessons.")
    now = datetime.now(UTC)
    lesson = Lesson(
        id=uuid_utils.compat.uuid7(),
        course_id=course_id,
        position=position,
        version=1,
        created_at=now,
        updated_at=now,
        **fields,
    )
    session.add(lesson)
    session.flush()
    record_part(session, Action.LESSON_CREATED, lesson, "lesson", user)
    return _view(session, user, lesson)


def change_lesson(
    session: Session,
    user: User,
    course_id: UUID,
    lesson_id: UUID,
    fields: Mapping[str, Any],
    *,
    expected: Expected,
) -> LessonView:
    """Change the given fields of a lesson; what users did with it stays.

    Raises:
        NotFound: the course has no such lesson.
        PreconditionFailed: its version is not one of `expected`.
    """
    lesson = _locked(session, course_id, lesson_id, expected)
    for name, value in fields.items():
        setattr(lesson, name, value)
    lesson.version += 1
    lesson.updated_at = datetime.now(UTC)
    session.flush()
    record_part(session, Action.LESSON_CHANGED, lesson, "lesson", user, fields=sorted(fields))
    return _view(session, user, lesson)


def delete_lesson(
    session: Session,
    user: User,
    course_id: UUID,
    lesson_id: UUID,
    *,
    expected: Expected,
) -> None:
    """Delete a lesson with the progress of all users; raises as `change_lesson`."""
    lesson = _locked(session, course_id, lesson_id, expected)
    record_part(session, Action.LESSON_DELETED, lesson, "lesson", user)
    session.expunge(lesson)
    queries.delete_lesson(session, lesson_id)


def reorder(
    session: Session,
    user: User,
    course_id: UUID,
    lesson_ids: Sequence[UUID],
    *,
    expected: Expected,
) -> list[ListedLesson]:
    """Reorder the lessons of a course.

    Raises:
        NotFound: there is no such course.
        PreconditionFailed: its version is not one of `expected`.
        InvalidRequest: the ids are not those of all its lessons, each once.
    """
    lock_course(session, course_id, expected=expected)
    present = [lesson.id for lesson in queries.list_lessons(session, course_id)]
    if sorted(lesson_ids) != sorted(present):
        message = f"Send the ids of all {len(present)} lessons of this course, each once."
        raise InvalidRequest(message, faults=(Fault("lesson_ids", message),))
    for position, lesson_id in enumerate(lesson_ids, start=1):
        queries.set_position(session, lesson_id, position)
    session.expire_all()
    course_queries.touch(session, course_id, at=datetime.now(UTC))
    about = event(
        Action.LESSONS_REORDERED,
        actor=Actor(user.id),
        object_type="course",
        object_id=course_id,
        detail={"n_lessons": len(present)},
    )
    record(session, about)
    return list_lessons(session, user, course_id)


def _locked(session: Session, course_id: UUID, lesson_id: UUID, expected: Expected) -> Lesson:
    # The course first, as everywhere, so that two authors do not wait for each other.
    lock_course(session, course_id)
    lesson = queries.get_lesson(session, lesson_id, course_id=course_id, lock=True)
    if lesson is None:
        raise NotFound(_NOT_FOUND)
    check_version(lesson.version, expected)
    return lesson


def _view(session: Session, user: User, lesson: Lesson) -> LessonView:
    html = render(lesson.source, course_queries.list_files(session, lesson.course_id))
    progress = queries.progress_by_lesson(session, user.id, [lesson.id]).get(lesson.id)
    return LessonView(lesson, html, progress, is_author=sees_all(user))
