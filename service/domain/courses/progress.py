"""Use cases of progress: what a user did with lessons, and the grades of their quizzes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_duplicate, is_missing_parent
from db.queries import enrolments as enrolment_queries
from db.queries import lessons as queries
from db.tables import Course, Lesson, LessonProgress, User
from service.domain.access import visible_courses
from service.domain.audit import Action, Actor, event, record
from service.domain.courses.quizzes import Answers, Grade, grade
from service.domain.transactions import Transactions
from service.errors import Conflict, Fault, InvalidRequest, NotFound

MAX_REPORTS = 100
"""Most lessons of one request."""
_NO_LESSON = "There is no lesson with this id in a course that you may see."


@dataclass(frozen=True, slots=True)
class Report:
    """What a user did with a lesson; `field` is where its faults are shown, such as `items.3`."""

    lesson_id: UUID
    is_completed: bool
    answers: Answers | None = None
    field: str = ""

    def at(self, name: str) -> str:
        """Return the name of one of its fields in the request."""
        return f"{self.field}.{name}" if self.field else name


@dataclass(frozen=True, slots=True)
class Graded:
    """What is stored about a user and a lesson, and the grade of the answers that came with the request."""

    row: LessonProgress
    grade: Grade | None

    @property
    def right(self) -> Sequence[bool] | None:
        """Which answers are right."""
        return None if self.grade is None else self.grade.right

    @property
    def is_passed(self) -> bool | None:
        """Whether the answers pass the quiz."""
        return None if self.grade is None else self.grade.is_passed


class Progress:
    """Stores what users did."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def report(self, user: User, reports: Sequence[Report]) -> list[Graded]:
        """Store reports about different lessons, all or none; the same reports again change nothing.

        A lesson with a quiz is completed once its quiz was passed; later answers leave it completed.

        Raises:
            NotFound: a lesson does not exist, or is in a course that the user may not see.
            Conflict: the user is not enrolled in the course of a lesson.
            InvalidRequest: the answers do not fit a quiz; all faults are listed.
        """
        try:
            return self._transactions.run(_report, user, reports)
        except IntegrityError as error:
            if is_missing_parent(error):
                raise NotFound("A lesson or your account was deleted meanwhile.") from error
            if not is_duplicate(error):
                raise
        # Another request stored the first report on a lesson meanwhile; now there is its row.
        return self._transactions.run(_report, user, reports)


def _report(session: Session, user: User, reports: Sequence[Report]) -> list[Graded]:
    ids = [report.lesson_id for report in reports]
    lessons = _open_lessons(session, user, reports)
    stored = queries.progress_by_lesson(session, user.id, ids, lock=True)
    grades = _grades(reports, lessons, stored)
    graded = []
    for report, result in zip(reports, grades, strict=True):
        is_new = report.lesson_id not in stored
        row = _new(user.id, report.lesson_id) if is_new else stored[report.lesson_id]
        if _apply(row, report, result) or is_new:
            row.updated_at = datetime.now(UTC)
            session.add(row)
            _record(session, row, user)
        graded.append(Graded(row, result))
    session.flush()
    return graded


def _open_lessons(session: Session, user: User, reports: Sequence[Report]) -> Mapping[UUID, Lesson]:
    found = queries.lessons_with_courses(session, [report.lesson_id for report in reports])
    enrolled = enrolment_queries.enrolments_of(session, user.id)
    for report in reports:
        lesson, course = found.get(report.lesson_id, (None, None))
        if lesson is None or course is None or not _may_see(user, course):
            raise NotFound(_NO_LESSON, faults=(Fault(report.at("lesson_id"), _NO_LESSON),))
        if course.id not in enrolled:
            message = f"You do not take the course {course.code}. Enrol in it first."
            raise Conflict(message, faults=(Fault(report.at("lesson_id"), message),))
    return {lesson_id: lesson for lesson_id, (lesson, _) in found.items()}


def _may_see(user: User, course: Course) -> bool:
    return course.status in visible_courses(user)


def _grades(
    reports: Sequence[Report],
    lessons: Mapping[UUID, Lesson],
    stored: Mapping[UUID, LessonProgress],
) -> list[Grade | None]:
    grades: list[Grade | None] = []
    faults: list[Fault] = []
    for report in reports:
        is_done = report.lesson_id in stored and stored[report.lesson_id].completed_at is not None
        try:
            grades.append(_grade(report, lessons[report.lesson_id], is_done=is_done))
        except InvalidRequest as error:
            faults += error.faults
    if faults:
        raise InvalidRequest(faults[0].message, faults=tuple(faults))
    return grades


def _grade(report: Report, lesson: Lesson, *, is_done: bool) -> Grade | None:
    field = report.at("answers")
    if not lesson.quiz and report.answers:
        raise InvalidRequest("", faults=(Fault(field, "This lesson has no quiz."),))
    if not lesson.quiz or not report.is_completed or (is_done and report.answers is None):
        return None
    return grade(lesson.quiz, report.answers or (), field=field)


def _new(user_id: UUID, lesson_id: UUID) -> LessonProgress:
    return LessonProgress(id=uuid_utils.compat.uuid7(), user_id=user_id, lesson_id=lesson_id)


def _apply(row: LessonProgress, report: Report, result: Grade | None) -> bool:
    """Change the row by a report; return whether that changes anything."""
    before = (row.completed_at, row.answers, row.n_right, row.n_questions)
    if not report.is_completed:
        row.completed_at = row.answers = row.n_right = row.n_questions = None
    else:
        if result is not None:
            row.answers = [[*answer] for answer in report.answers or ()]
            row.n_right, row.n_questions = result.n_right, len(result.right)
        if row.completed_at is None and (result is None or result.is_passed):
            row.completed_at = datetime.now(UTC)
    after = (row.completed_at, row.answers, row.n_right, row.n_questions)
    return before != after


def _record(session: Session, row: LessonProgress, user: User) -> None:
    about = event(
        Action.PROGRESS_CHANGED,
        actor=Actor(user.id),
        object_type="lesson",
        object_id=row.lesson_id,
        detail={"is_completed": row.completed_at is not None, "n_right": row.n_right},
    )
    record(session, about)
