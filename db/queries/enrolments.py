"""Enrolments, and how far the enrolled users are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, Select, case, delete, func, select
from sqlalchemy.orm import Session

from db.queries.pages import Position, newest_first
from db.tables import Course, Enrolment, Lesson, LessonProgress, TeamMember, User


@dataclass(frozen=True, slots=True)
class Done:
    """How many lessons of a course a user has completed, and when the last of them."""

    n_lessons: int = 0
    last_at: datetime | None = None


NOTHING_DONE = Done()
Place = tuple[UUID, UUID]
"""Ids of a user and a course."""


def add_enrolments(session: Session, enrolments: Sequence[Enrolment]) -> None:
    """Insert enrolments.

    Raises:
        IntegrityError: a user is enrolled already, or a user or the course is gone.
    """
    session.add_all(enrolments)
    session.flush()


def get_enrolment(session: Session, enrolment_id: UUID) -> tuple[Enrolment, Course] | None:
    """Return an enrolment with its course."""
    row = session.execute(_with_course().where(Enrolment.id == enrolment_id)).one_or_none()
    return None if row is None else (row[0], row[1])


def enrolment_of(session: Session, user_id: UUID, course_id: UUID) -> Enrolment | None:
    """Return a user's enrolment in a course."""
    of = (Enrolment.user_id == user_id, Enrolment.course_id == course_id)
    return session.scalar(select(Enrolment).where(*of))


def enrolments_of(session: Session, user_id: UUID) -> dict[UUID, Enrolment]:
    """Return all enrolments of a user, by the course's id."""
    rows = session.scalars(select(Enrolment).where(Enrolment.user_id == user_id))
    return {row.course_id: row for row in rows}


def list_enrolments(
    session: Session,
    user_id: UUID,
    *,
    course_id: UUID | None = None,
    limit: int,
    after: Position | None = None,
) -> Sequence[Row[Enrolment, Course]]:
    """Return up to `limit` enrolments of a user with their courses, newest first, past `after`."""
    query = newest_first(select(Enrolment), Enrolment, after=after)
    query = query.where(Enrolment.user_id == user_id)
    if course_id is not None:
        query = query.where(Enrolment.course_id == course_id)
    with_course = query.limit(limit).join(Course, Course.id == Enrolment.course_id)
    return session.execute(with_course.add_columns(Course)).all()


def list_cohort(
    session: Session, course_id: UUID, *, limit: int, after: Position | None = None
) -> Sequence[Row[Enrolment, str]]:
    """Return up to `limit` enrolments in a course with the users' addresses, newest first, past `after`."""
    query = newest_first(select(Enrolment), Enrolment, after=after)
    query = query.where(Enrolment.course_id == course_id).limit(limit)
    with_email = query.join(User, User.id == Enrolment.user_id).add_columns(User.email)
    return session.execute(with_email).all()


def count_cohort(
    session: Session, course_id: UUID, *, n_lessons: int, now: datetime
) -> dict[str, int]:
    """Return how many of those enrolled in a course of `n_lessons` lessons have each status."""
    n_done = (
        select(func.count())
        .select_from(LessonProgress)
        .join(Lesson, Lesson.id == LessonProgress.lesson_id)
        .where(
            Lesson.course_id == course_id,
            LessonProgress.user_id == Enrolment.user_id,
            LessonProgress.completed_at.is_not(None),
        )
        .scalar_subquery()
    )
    each = select(Enrolment.due_at, n_done.label("n_done")).where(Enrolment.course_id == course_id)
    done = each.subquery("done")
    status = case(
        ((done.c.n_done >= n_lessons) & (done.c.n_done > 0), "completed"),
        (done.c.due_at < now, "overdue"),
        (done.c.n_done > 0, "in_progress"),
        else_="not_started",
    ).label("status")
    with_status = select(status).subquery("with_status")
    query = select(with_status.c.status, func.count()).group_by(with_status.c.status)
    return {row[0]: row[1] for row in session.execute(query)}


def done_by_place(
    session: Session, user_ids: Collection[UUID], course_ids: Collection[UUID]
) -> dict[Place, Done]:
    """Return how far users are in courses, by user and course; those with no lesson done are left out."""
    key = (LessonProgress.user_id, Lesson.course_id)
    query = (
        select(*key, func.count(), func.max(LessonProgress.completed_at))
        .join(Lesson, Lesson.id == LessonProgress.lesson_id)
        .where(
            LessonProgress.user_id.in_(user_ids),
            Lesson.course_id.in_(course_ids),
            LessonProgress.completed_at.is_not(None),
        )
        .group_by(*key)
    )
    return {(row[0], row[1]): Done(row[2], row[3]) for row in session.execute(query)}


def completions(
    session: Session, course_id: UUID, *, n_lessons: int, user_id: UUID | None = None, limit: int
) -> dict[UUID, datetime]:
    """Return when users completed all `n_lessons` lessons of a course, of one user if it is given."""
    last_at = func.max(LessonProgress.completed_at)
    query = (
        select(LessonProgress.user_id, last_at)
        .join(Lesson, Lesson.id == LessonProgress.lesson_id)
        .where(Lesson.course_id == course_id, LessonProgress.completed_at.is_not(None))
        .group_by(LessonProgress.user_id)
        .having(func.count() >= max(n_lessons, 1))
        .order_by(last_at.desc(), LessonProgress.user_id)
    )
    if user_id is not None:
        query = query.where(LessonProgress.user_id == user_id)
    rows = session.execute(query.limit(limit)).all()
    return {user_id: at for user_id, at in rows if at is not None}


def delete_enrolment(session: Session, enrolment_id: UUID) -> None:
    """Delete an enrolment; what the user did with the lessons stays."""
    session.execute(delete(Enrolment).where(Enrolment.id == enrolment_id))


def enabled_user(session: Session, *, user_id: UUID | None, email: str | None) -> User | None:
    """Return an enabled account by its id or by its lower-cased address."""
    is_named = User.id == user_id if user_id is not None else User.email == email
    return session.scalar(select(User).where(is_named, User.disabled_at.is_(None)))


def enabled_users(
    session: Session, *, team_id: UUID | None = None, role: str | None = None
) -> Sequence[UUID]:
    """Return the ids of the enabled accounts of a team, or of a role."""
    query = select(User.id).where(User.disabled_at.is_(None)).order_by(User.id)
    if team_id is not None:
        query = query.join(TeamMember, TeamMember.user_id == User.id)
        query = query.where(TeamMember.team_id == team_id)
    else:
        query = query.where(User.role == role)
    return session.scalars(query).all()


def enrolled(session: Session, course_id: UUID) -> set[UUID]:
    """Return the ids of all users who are enrolled in a course."""
    query = select(Enrolment.user_id).where(Enrolment.course_id == course_id)
    return {*session.scalars(query)}


def _with_course() -> Select[Enrolment, Course]:
    return select(Enrolment, Course).join(Course, Course.id == Enrolment.course_id)
