"""Use cases of enrolments: who takes a course, and how far they are, which is computed and never stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_duplicate, is_missing_parent
from db.queries import courses as course_queries
from db.queries import enrolments as queries
from db.queries.audit import Event
from db.queries.enrolments import NOTHING_DONE, Done
from db.queries.pages import Position
from db.queries.teams import get_team
from db.tables import Course, CourseStatus, Enrolment, EnrolmentSource, User
from service.domain.audit import Action, Actor, event, record
from service.domain.courses.courses import sees_all, visible_course
from service.domain.transactions import Transactions
from service.errors import Conflict, Fault, Forbidden, InvalidRequest, NotFound

_NOT_FOUND = "You have no enrolment with this id; GET /api/v1/enrolments lists yours."


class Status(StrEnum):
    """How far a user is with a course."""

    NOT_STARTED = "not_started"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True)
class Whom:
    """Whom to enrol: one account by id or address, or the members of a team or a role; None is oneself."""

    user_id: UUID | None = None
    email: str | None = None
    team_id: UUID | None = None
    role: str | None = None

    @property
    def is_group(self) -> bool:
        """Whether it names a team or a role."""
        return self.team_id is not None or self.role is not None

    @property
    def is_self(self) -> bool:
        """Whether it names nobody, which is the caller."""
        return self == Whom()


@dataclass(frozen=True, slots=True)
class NewEnrolment:
    """What a caller says about an enrolment."""

    course_id: UUID
    whom: Whom = Whom()
    is_recommended: bool = False
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentState:
    """An enrolment in a course of `n_lessons` lessons, and what is done of them at the time `now`."""

    enrolment: Enrolment
    n_lessons: int
    done: Done
    now: datetime

    @property
    def id(self) -> UUID:
        """The enrolment's."""
        return self.enrolment.id

    @property
    def created_at(self) -> datetime:
        """The enrolment's."""
        return self.enrolment.created_at

    @property
    def is_by_self(self) -> bool:
        """Whether the user enrolled themselves, and no instructor did."""
        return self.enrolment.enrolled_by == self.enrolment.user_id

    @property
    def n_done(self) -> int:
        """Lessons that the user has completed."""
        return self.done.n_lessons

    @property
    def status(self) -> Status:
        """How far the user is now."""
        return status(self.enrolment, self.n_lessons, self.done, now=self.now)

    @property
    def completed_at(self) -> datetime | None:
        """When the user completed the last lesson; None until all are done."""
        return self.done.last_at if self.status is Status.COMPLETED else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentView(EnrolmentState):
    """The same with its course."""

    course: Course


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The result of an enrolment: that of one account, or None for a group; how many are new."""

    view: EnrolmentView | None
    n_created: int
    n_existing: int


class Enrolments:
    """Enrols users."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def enrol(self, user: User, new: NewEnrolment) -> Enrolled:
        """Enrol the caller, or others if the caller is an instructor; existing enrolments stay.

        An instructor's due date replaces that of one account's enrolment.

        Raises:
            NotFound: there is no such course or team.
            InvalidRequest: no enabled account has the id or address.
            Forbidden: the caller is no instructor, and names others or a due date.
            Conflict: the course is not active.
        """
        if not sees_all(user) and (not new.whom.is_self or new.due_at is not None):
            raise Forbidden("Instructors enrol others and set due dates; you may enrol yourself.")
        try:
            return self._transactions.run(_enrol, user, new)
        except IntegrityError as error:
            if is_missing_parent(error):
                raise NotFound("The course or an account was deleted meanwhile.") from error
            if not is_duplicate(error):
                raise
        # Another request enrolled the same user meanwhile; now there is its row.
        return self._transactions.run(_enrol, user, new)


def status(enrolment: Enrolment, n_lessons: int, done: Done, *, now: datetime) -> Status:
    """Return how far a user is with a course of `n_lessons` lessons."""
    if n_lessons and done.n_lessons >= n_lessons:
        return Status.COMPLETED
    if enrolment.due_at is not None and enrolment.due_at < now:
        return Status.OVERDUE
    return Status.IN_PROGRESS if done.n_lessons else Status.NOT_STARTED


def list_enrolments(
    session: Session,
    user_id: UUID,
    *,
    course_id: UUID | None,
    limit: int,
    after: Position | None,
) -> list[EnrolmentView]:
    """Return up to `limit` enrolments of a user, newest first, past the position `after`."""
    rows = queries.list_enrolments(session, user_id, course_id=course_id, limit=limit, after=after)
    return _views(session, [(row[0], row[1]) for row in rows])


def get_enrolment(session: Session, user: User, enrolment_id: UUID) -> EnrolmentView:
    """Return an enrolment of the user, or for an instructor of anybody; NotFound for any other."""
    found = queries.get_enrolment(session, enrolment_id)
    if found is None or not (found[0].user_id == user.id or sees_all(user)):
        raise NotFound(_NOT_FOUND)
    [view] = _views(session, [found])
    return view


def delete_enrolment(session: Session, user: User, enrolment_id: UUID) -> None:
    """End an enrolment; what the user did with the lessons stays, also for a later enrolment.

    Raises:
        NotFound: as in `get_enrolment`.
        Conflict: an instructor enrolled the user, who therefore cannot end it.
    """
    enrolment = get_enrolment(session, user, enrolment_id).enrolment
    if enrolment.enrolled_by != user.id and not sees_all(user):
        raise Conflict("An instructor enrolled you in this course; ask them to end it.")
    record(session, _event(Action.ENROLMENT_DELETED, enrolment, user))
    session.expunge(enrolment)
    queries.delete_enrolment(session, enrolment_id)


def _enrol(session: Session, user: User, new: NewEnrolment) -> Enrolled:
    course = visible_course(session, user, new.course_id)
    if course.status != CourseStatus.ACTIVE:
        raise Conflict("This course is not active; only active courses can be taken.")
    if new.whom.is_group:
        return _enrol_group(session, user, new)
    learner_id = user.id if new.whom.is_self else _learner(session, new.whom).id
    enrolment = queries.enrolment_of(session, learner_id, new.course_id)
    n_existing = int(enrolment is not None)
    if enrolment is None:
        enrolment = _enrolment(user, new, learner_id)
        _add(session, user, [enrolment])
    elif new.due_at is not None:
        enrolment.due_at = new.due_at
        session.flush()
        record(session, _event(Action.ENROLMENT_CHANGED, enrolment, user))
    [view] = _views(session, [(enrolment, course)])
    return Enrolled(view, n_created=1 - n_existing, n_existing=n_existing)


def _enrol_group(session: Session, user: User, new: NewEnrolment) -> Enrolled:
    whom = new.whom
    if whom.team_id is not None and get_team(session, whom.team_id) is None:
        raise NotFound("There is no team with this id.")
    members = queries.enabled_users(session, team_id=whom.team_id, role=whom.role)
    present = queries.enrolled(session, new.course_id)
    missing = [user_id for user_id in members if user_id not in present]
    _add(session, user, [_enrolment(user, new, user_id) for user_id in missing])
    return Enrolled(None, n_created=len(missing), n_existing=len(members) - len(missing))


def _learner(session: Session, whom: Whom) -> User:
    learner = queries.enabled_user(session, user_id=whom.user_id, email=whom.email)
    if learner is None:
        field = "user_id" if whom.user_id is not None else "email"
        message = "No enabled account has this id or address."
        raise InvalidRequest(message, faults=(Fault(field, message),))
    return learner


def _enrolment(user: User, new: NewEnrolment, learner_id: UUID) -> Enrolment:
    source = EnrolmentSource.MANUAL
    if new.whom.role is not None:
        source = EnrolmentSource.ROLE
    elif new.is_recommended:
        source = EnrolmentSource.RECOMMENDED
    return Enrolment(
        id=uuid_utils.compat.uuid7(),
        user_id=learner_id,
        course_id=new.course_id,
        source=source,
        due_at=new.due_at,
        enrolled_by=user.id,
        created_at=datetime.now(UTC),
    )


def _add(session: Session, user: User, enrolments: Sequence[Enrolment]) -> None:
    if enrolments:
        queries.add_enrolments(session, enrolments)
        record(session, *(_event(Action.ENROLMENT_CREATED, row, user) for row in enrolments))


def _views(session: Session, rows: Sequence[tuple[Enrolment, Course]]) -> list[EnrolmentView]:
    course_ids = {course.id for _, course in rows}
    n_lessons = course_queries.count_lessons(session, course_ids)
    done = queries.done_by_place(session, {e.user_id for e, _ in rows}, course_ids)
    now = datetime.now(UTC)
    return [
        EnrolmentView(
            enrolment=enrolment,
            course=course,
            n_lessons=n_lessons.get(course.id, 0),
            done=done.get((enrolment.user_id, course.id), NOTHING_DONE),
            now=now,
        )
        for enrolment, course in rows
    ]


def _event(action: Action, enrolment: Enrolment, user: User) -> Event:
    return event(
        action,
        actor=Actor(user.id),
        object_type="enrolment",
        object_id=enrolment.id,
        detail={
            "course_id": str(enrolment.course_id),
            "user_id": str(enrolment.user_id),
            "source": enrolment.source,
            "due_at": enrolment.due_at.isoformat() if enrolment.due_at else None,
        },
    )
