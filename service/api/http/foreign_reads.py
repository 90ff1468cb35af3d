"""Records of reads of other people's scans and sessions, for views whose answer does not name the owner."""

from __future__ import annotations

from uuid import UUID

from db.queries.reach import Reach, own_and_shared
from db.queries.scans import get_scan
from service.api.current import services
from service.api.http.authentication import current_user
from service.domain.access import readable
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


def record_scan_read(scan_id: UUID) -> None:
    """Record the read of another's scan; do nothing if the caller may not read it."""
    user, parts = current_user(), services()
    scan = parts.transactions.read(get_scan, scan_id, readable(user))
    if scan is not None:
        parts.foreign_reads.store(user.id, scan.user_id, "scan", scan_id)
