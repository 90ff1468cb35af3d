"""Use cases of the cohort: who takes a course, how far each is, and the same as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import courses as course_queries
from db.queries import enrolments as queries
from db.queries.enrolments import NOTHING_DONE
from db.queries.pages import Position
from db.tables import User
from service.domain import report_logs
from service.domain.audit import Action, Actor, event, record
from service.domain.courses.courses import visible_course
from service.domain.courses.enrolments import EnrolmentState, Status
from service.domain.report_logs import Chunk, Export, Kind, Report, ReportLogs
from service.domain.spreadsheet_cells import csv_cell
from service.domain.transactions import Transactions

EXPORTED_AT_ONCE = 500
_COLUMNS = (
    *("email", "status", "lessons_done", "lessons", "source", "enrolled_at", "due_at"),
    "completed_at",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner(EnrolmentState):
    """Somebody's enrolment in a course."""

    email: str


class Cohorts:
    """Exports cohorts."""

    def __init__(self, transactions: Transactions, logs: ReportLogs) -> None:
        self._transactions = transactions
        self._logs = logs

    def export(self, user: User, course_id: UUID) -> Export:
        """Record the export of a course's cohort, and return its CSV, which is read as it is sent.

        Raises:
            NotFound: there is no such course.
        """
        report = Report(Kind.COHORT, "csv", Actor(user.id), {"course_id": str(course_id)})

        def begin(session: Session) -> UUID:
            visible_course(session, user, course_id)
            about = event(
                Action.COHORT_EXPORTED,
                actor=Actor(user.id),
                object_type="course",
                object_id=course_id,
            )
            record(session, about)
            return report_logs.begin(session, report)

        report_id = self._transactions.run(begin)
        return self._logs.follow(report_id, self._chunks(course_id))

    def _chunks(self, course_id: UUID) -> Iterator[Chunk]:
        yield 0, _line(_COLUMNS)
        after = None
        while learners := self._transactions.read(
            list_learners, course_id, limit=EXPORTED_AT_ONCE, after=after
        ):
            yield len(learners), b"".join(_line(_cells(learner)) for learner in learners)
            after = (learners[-1].created_at, learners[-1].id)


def list_learners(
    session: Session, course_id: UUID, *, limit: int, after: Position | None
) -> list[Learner]:
    """Return up to `limit` of those who take a course, last enrolled first, past the position `after`."""
    rows = queries.list_cohort(session, course_id, limit=limit, after=after)
    n_lessons = course_queries.count_lessons(session, [course_id]).get(course_id, 0)
    user_ids = {enrolment.user_id for enrolment, _ in rows}
    done = queries.done_by_place(session, user_ids, [course_id])
    now = datetime.now(UTC)
    return [
        Learner(
            enrolment=enrolment,
            email=email,
            n_lessons=n_lessons,
            done=done.get((enrolment.user_id, course_id), NOTHING_DONE),
            now=now,
        )
        for enrolment, email in rows
    ]


def count_learners(session: Session, course_id: UUID) -> dict[Status, int]:
    """Return how many of those who take a course have each status."""
    n_lessons = course_queries.count_lessons(session, [course_id]).get(course_id, 0)
    counts = queries.count_cohort(session, course_id, n_lessons=n_lessons, now=datetime.now(UTC))
    return {status: counts.get(status, 0) for status in Status}


def _cells(learner: Learner) -> Sequence[str]:
    times = (learner.created_at, learner.enrolment.due_at, learner.completed_at)
    return (
        learner.email,
        learner.status,
        str(learner.n_done),
        str(learner.n_lessons),
        learner.enrolment.source,
        *("" if time is None else time.isoformat() for time in times),
    )


def _line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow([csv_cell(cell) for cell in cells])
    return text.getvalue().encode()
