"""Lessons, and what users did with them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session, undefer

from db.tables import Course, Lesson, LessonProgress


def list_lessons(session: Session, course_id: UUID, *, lock: bool = False) -> Sequence[Lesson]:
    """Return the lessons of a course in their order, without their source."""
    query = select(Lesson).where(Lesson.course_id == course_id)
    query = query.order_by(Lesson.position, Lesson.id)
    return session.scalars(query.with_for_update() if lock else query).all()


def get_lesson(
    session: Session, lesson_id: UUID, *, course_id: UUID | None = None, lock: bool = False
) -> Lesson | None:
    """Return a lesson with its source; None if it is not of `course_id`, if that is given."""
    query = select(Lesson).where(Lesson.id == lesson_id).options(undefer(Lesson.source))
    if course_id is not None:
        query = query.where(Lesson.course_id == course_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.scalar(query)


def lessons_with_courses(
    session: Session, lesson_ids: Collection[UUID]
) -> dict[UUID, tuple[Lesson, Course]]:
    """Return those of the lessons that exist with their courses, by id."""
    query = select(Lesson, Course).join(Course, Course.id == Lesson.course_id)
    rows = session.execute(query.where(Lesson.id.in_(lesson_ids)))
    return {lesson.id: (lesson, course) for lesson, course in rows}


def next_position(session: Session, course_id: UUID) -> int:
    """Return the position of a further lesson of a course."""
    query = select(func.max(Lesson.position)).where(Lesson.course_id == course_id)
    return (session.scalar(query) or 0) + 1


def set_position(session: Session, lesson_id: UUID, position: int) -> None:
    """Move a lesson to a position."""
    moved = update(Lesson).where(Lesson.id == lesson_id).values(position=position)
    session.execute(moved.execution_options(synchronize_session=False))


def delete_lesson(session: Session, lesson_id: UUID) -> None:
    """Delete a lesson with the progress of all users."""
    session.execute(delete(Lesson).where(Lesson.id == lesson_id))


def progress_by_lesson(
    session: Session, user_id: UUID, lesson_ids: Collection[UUID], *, lock: bool = False
) -> dict[UUID, LessonProgress]:
    """Return what a user did with lessons, by the lesson's id."""
    of = (LessonProgress.user_id == user_id, LessonProgress.lesson_id.in_(lesson_ids))
    query = select(LessonProgress).where(*of)
    rows = session.scalars(query.with_for_update() if lock else query)
    return {row.lesson_id: row for row in rows}
