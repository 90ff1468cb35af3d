"""What recommendations and effects of courses read: users' scans, their findings and the verdicts on them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from db.queries.feedback import is_current
from db.tables import Document, Feedback, Finding, Scan

_SCANS_AT_ONCE = 500


def judged_findings(
    session: Session, user_id: UUID, *, since: datetime, limit: int
) -> Sequence[Row[Feedback, Finding, UUID | None]]:
    """Return current verdicts with their findings and documents, of a user's scans since a time.

    Those of the newest scans come first; at most `limit` verdicts.
    """
    query = (
        select(Feedback, Finding, Scan.document_id)
        .join(Scan, Scan.id == Feedback.scan_id)
        .join(Finding, (Finding.scan_id == Feedback.scan_id) & (Finding.n == Feedback.n))
        .where(Scan.user_id == user_id, Scan.created_at >= since, *is_current())
        .order_by(Scan.created_at.desc(), Scan.id.desc(), Finding.n)
    )
    return session.execute(query.limit(limit)).all()


def scans_with_first(
    session: Session, user_id: UUID, *, since: datetime, before: datetime, limit: int
) -> Sequence[Row[Scan, datetime]]:
    """Return a user's scans, newest first, each with the time when its document was first scanned.

    That time is from `since` to `before`, which is exclusive.
    """
    first_at = func.coalesce(Document.created_at, Scan.created_at)
    query = (
        select(Scan, first_at)
        .outerjoin(Document, Document.id == Scan.document_id)
        .where(Scan.user_id == user_id, first_at >= since, first_at < before)
        .order_by(Scan.created_at.desc(), Scan.id.desc())
    )
    return session.execute(query.limit(limit)).all()


def verdicts_of(session: Session, scan_ids: Collection[UUID]) -> Sequence[Row[Feedback, Finding]]:
    """Return the current verdicts on findings of scans, with the findings."""
    ids = [*scan_ids]
    rows: list[Row[Feedback, Finding]] = []
    for start in range(0, len(ids), _SCANS_AT_ONCE):
        query = (
            select(Feedback, Finding)
            .join(Finding, (Finding.scan_id == Feedback.scan_id) & (Finding.n == Feedback.n))
            .where(Feedback.scan_id.in_(ids[start : start + _SCANS_AT_ONCE]), *is_current())
        )
        rows += session.execute(query).all()
    return rows
