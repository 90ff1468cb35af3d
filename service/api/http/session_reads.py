"""Reads of work sessions, those of the caller's teams included."""

from __future__ import annotations

from uuid import UUID

from db.queries.reach import Reach, own_and_shared
from service.api.current import services
from service.api.http.authentication import current_user
from service.domain.files import work_sessions


def read_session(session_id: UUID) -> Reach:
    """Return the caller's reach over sessions, after recording the read of another's session.

    Raises:
        NotFound: the session is not in reach.
    """
    user, parts = current_user(), services()
    reach = own_and_shared(user.id)
    work_session = parts.transactions.read(work_sessions.require, reach, session_id)
    parts.foreign_reads.store(user.id, work_session.user_id, "work_session", session_id)
    return reach
