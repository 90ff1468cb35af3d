"""Use cases of courses: create, change, delete, and who sees which."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_duplicate
from db.queries import courses as queries
from db.queries.courses import CourseFilter, Topics
from db.queries.pages import Position
from db.tables import Course, CourseFile, CourseStatus, Lesson, Permission, TopicKind, User, may
from service.domain.access import visible_courses
from service.domain.audit import Action, Actor, event, record
from service.domain.transactions import Transactions
from service.domain.versions import Expected, check_version
from service.errors import Conflict, Fault, InvalidRequest, NotFound

MAX_CODE_CHARS, MAX_TITLE_CHARS, MAX_DESCRIPTION_CHARS = 40, 200, 5_000
MAX_TOPICS = 100
"""Most categories, and most risk types, of a course."""
MAX_COURSES = 1_000
"""Most active courses, by code, that recommendations consider."""
_CODE = re.compile(r"[A-Z0-9]+([._-][A-Z0-9]+)*")
_NOT_FOUND = "There is no course with this id; GET /api/v1/courses lists those that you may see."
_TOPICS = {"categories": TopicKind.CATEGORY, "risk_types": TopicKind.RISK_TYPE}


@dataclass(frozen=True, slots=True)
class CourseView:
    """A course with its topics and the number of its lessons."""

    course: Course
    topics: Topics = field(default_factory=dict)
    n_lessons: int = 0

    @property
    def id(self) -> UUID:
        """The course's."""
        return self.course.id

    @property
    def created_at(self) -> datetime:
        """The course's."""
        return self.course.created_at

    @property
    def categories(self) -> Sequence[str]:
        """Keys of the categories that it teaches about."""
        return self.topics.get(TopicKind.CATEGORY, ())

    @property
    def risk_types(self) -> Sequence[str]:
        """Keys of the risk types that it teaches about."""
        return self.topics.get(TopicKind.RISK_TYPE, ())


class Courses:
    """Changes of courses."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def create(self, fields: Mapping[str, Any], *, actor: Actor) -> CourseView:
        """Create a course from all its fields: code, title, description, status and topics.

        Raises:
            InvalidRequest: the code is malformed.
            Conflict: another course has the code.
        """
        return self._with_code(fields, _create, actor)

    def change(
        self,
        course_id: UUID,
        fields: Mapping[str, Any],
        *,
        expected: Expected,
        actor: Actor,
    ) -> CourseView:
        """Change the given fields of a course.

        Raises:
            NotFound: there is no such course.
            PreconditionFailed: its version is not one of `expected`.
            InvalidRequest, Conflict: as in `create`.
        """
        return self._with_code(fields, _change, actor, course_id, expected)

    def _with_code(self, fields: Mapping[str, Any], work: Any, *args: Any) -> CourseView:  # noqa: ANN401 - a use case and its arguments
        if "code" in fields:
            fields = {**fields, "code": _checked_code(fields["code"])}
        try:
            view: CourseView = self._transactions.run(work, fields, *args)
        except IntegrityError as error:
            if is_duplicate(error):
                raise Conflict(f"Another course has the code {fields['code']}.") from error
            raise
        return view


def sees_all(user: User) -> bool:
    """Return whether a user may change courses, and so sees drafts and archived ones too."""
    return may(user.role, Permission.COURSES)


def visible_course(session: Session, user: User, course_id: UUID) -> Course:
    """Return a course that the user may see; NotFound for any other."""
    course = queries.get_course(session, course_id)
    if course is None or course.status not in visible_courses(user):
        raise NotFound(_NOT_FOUND)
    return course


def get_course(session: Session, user: User, course_id: UUID) -> CourseView:
    """Return a course that the user may see; NotFound for any other."""
    [view] = _views(session, [visible_course(session, user, course_id)])
    return view


def list_courses(
    session: Session, user: User, filters: CourseFilter, *, limit: int, after: Position | None
) -> Sequence[CourseView]:
    """Return up to `limit` courses that the user may see, newest first, past the position `after`."""
    if not sees_all(user):
        if filters.status not in {None, CourseStatus.ACTIVE}:
            return []
        filters = replace(filters, status=CourseStatus.ACTIVE)
    return _views(session, queries.list_courses(session, filters, limit=limit, after=after))


def active_courses(session: Session) -> Sequence[CourseView]:
    """Return all active courses, by code."""
    return _views(session, queries.list_active(session, limit=MAX_COURSES))


def delete_course(session: Session, course_id: UUID, *, expected: Expected, actor: Actor) -> None:
    """Delete a course with its lessons, files, enrolments and progress; raises as `Courses.change`."""
    course = lock_course(session, course_id, expected=expected)
    code = course.code
    session.expunge(course)
    queries.delete_course(session, course_id)
    _record(session, Action.COURSE_DELETED, course_id, actor, code=code)


def lock_course(session: Session, course_id: UUID, *, expected: Expected = None) -> Course:
    """Return a course, and lock it until the transaction ends.

    Raises:
        NotFound: there is no such course.
        PreconditionFailed: its version is not one of `expected`.
    """
    course = queries.get_course(session, course_id, lock=True)
    if course is None:
        raise NotFound(_NOT_FOUND)
    check_version(course.version, expected)
    return course


def _create(session: Session, fields: Mapping[str, Any], actor: Actor) -> CourseView:
    now = datetime.now(UTC)
    plain = {name: value for name, value in fields.items() if name not in _TOPICS}
    course = Course(
        id=uuid_utils.compat.uuid7(), version=1, created_at=now, updated_at=now, **plain
    )
    queries.add_course(session, course)
    _set_topics(session, course.id, fields)
    _record(session, Action.COURSE_CREATED, course.id, actor, code=course.code)
    [view] = _views(session, [course])
    return view


def _change(
    session: Session,
    fields: Mapping[str, Any],
    actor: Actor,
    course_id: UUID,
    expected: Expected,
) -> CourseView:
    course = lock_course(session, course_id, expected=expected)
    for name, value in fields.items():
        if name not in _TOPICS:
            setattr(course, name, value)
    course.version += 1
    course.updated_at = datetime.now(UTC)
    session.flush()
    _set_topics(session, course_id, fields)
    _record(session, Action.COURSE_CHANGED, course_id, actor, fields=sorted(fields))
    [view] = _views(session, [course])
    return view


def _set_topics(session: Session, course_id: UUID, fields: Mapping[str, Any]) -> None:
    for name, kind in _TOPICS.items():
        if name in fields:
            queries.set_topics(session, course_id, kind, fields[name])


def _views(session: Session, courses: Sequence[Course]) -> list[CourseView]:
    ids = [course.id for course in courses]
    topics, n_lessons = queries.topics_of(session, ids), queries.count_lessons(session, ids)
    return [CourseView(c, topics[c.id], n_lessons.get(c.id, 0)) for c in courses]


def _checked_code(code: str) -> str:
    code = code.strip().upper()
    if not _CODE.fullmatch(code):
        message = "Letters and digits, with single dots, hyphens or underscores between them."
        raise InvalidRequest(message, faults=(Fault("code", message),))
    return code


def _record(
    session: Session, action: Action, course_id: UUID, actor: Actor, **detail: object
) -> None:
    about = event(action, actor=actor, object_type="course", object_id=course_id, detail=detail)
    record(session, about)


def record_part(
    session: Session,
    action: Action,
    part: Lesson | CourseFile,
    object_type: str,
    user: User,
    **detail: object,
) -> None:
    """Record a change of a course's part, which changes the version of the course too."""
    queries.touch(session, part.course_id, at=datetime.now(UTC))
    about = event(
        action,
        actor=Actor(user.id),
        object_type=object_type,
        object_id=part.id,
        detail={"course_id": str(part.course_id), **detail},
    )
    record(session, about)
