"""Use cases of work sessions that need no bytes: create, list, read, rename. `files` deletes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.orm import Session

from db.queries import files as queries
from db.queries.pages import Position
from db.queries.reach import Reach, own
from db.queries.users import lock_user
from db.tables import WorkSession
from service.domain.audit import Action, Actor, event, record
from service.domain.versions import Expected, check_version, state_version
from service.errors import Conflict, NotFound, Unauthenticated


@dataclass(frozen=True, slots=True)
class WorkSessionView:
    """A work session, with the number of its files and their bytes."""

    work_session: WorkSession
    n_files: int = 0
    size_bytes: int = 0

    @property
    def version(self) -> int:
        """Differs after a change of its name."""
        return state_version(self.work_session.name)


def create(session: Session, user_id: UUID, name: str, *, max_sessions: int) -> WorkSessionView:
    """Create a work session; `max_sessions` is the limit of each user.

    Raises:
        Conflict: the user has so many work sessions.
        Unauthenticated: the account was deleted meanwhile.
    """
    if lock_user(session, user_id) is None:
        raise Unauthenticated("This account was deleted meanwhile.")
    if queries.count_work_sessions(session, user_id) >= max_sessions:
        raise Conflict(
            f"You have {max_sessions:,} sessions, the limit (MAX_SESSIONS). Delete those that you no longer "
            "need; their scans stay."
        )
    work_session = WorkSession(
        id=uuid_utils.compat.uuid7(), user_id=user_id, name=name, created_at=datetime.now(UTC)
    )
    queries.add_work_session(session, work_session)
    _record(session, Action.WORK_SESSION_CREATED, user_id, work_session.id)
    return WorkSessionView(work_session)


def require(
    session: Session, reach: Reach, work_session_id: UUID, *, lock: bool = False
) -> WorkSession:
    """Return a work session, locked if asked for; NotFound if it is not in reach."""
    work_session = queries.get_work_session(session, reach, work_session_id, lock=lock)
    if work_session is None:
        raise NotFound("You have no session with this id.")
    return work_session


def get(session: Session, reach: Reach, work_session_id: UUID) -> WorkSessionView:
    """Return a work session with its totals; NotFound if it is not in reach."""
    return _with_totals(session, [require(session, reach, work_session_id)])[0]


def list_page(
    session: Session, reach: Reach, *, limit: int, after: Position | None
) -> Sequence[WorkSessionView]:
    """Return the work sessions in reach with their totals, newest first, past the position `after`."""
    rows = queries.list_work_sessions(session, reach, limit=limit, after=after)
    return _with_totals(session, rows)


def rename(
    session: Session, user_id: UUID, work_session_id: UUID, name: str, *, expected: Expected = None
) -> WorkSessionView:
    """Change the name of a user's work session.

    Raises:
        NotFound: it is another user's.
        PreconditionFailed: it has none of the versions expected.
    """
    work_session = require(session, own(user_id), work_session_id, lock=True)
    check_version(WorkSessionView(work_session).version, expected)
    work_session.name = name
    session.flush()
    _record(session, Action.WORK_SESSION_RENAMED, user_id, work_session_id)
    return _with_totals(session, [work_session])[0]


def _with_totals(session: Session, rows: Sequence[WorkSession]) -> list[WorkSessionView]:
    totals = queries.totals(session, [row.id for row in rows])
    return [WorkSessionView(row, *totals.get(row.id, (0, 0))) for row in rows]


def _record(session: Session, action: Action, user_id: UUID, work_session_id: UUID) -> None:
    actor = Actor(user_id)
    record(
        session, event(action, actor=actor, object_type="work_session", object_id=work_session_id)
    )
