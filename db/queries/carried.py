"""Feedback that a scan took over from earlier scans of its document."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select
from sqlalchemy.orm import Session, aliased

from db.queries.documents import in_series_of
from db.queries.feedback import is_newest
from db.tables import Feedback, Finding, Scan

MAX_EARLIER = 100
"""Newest scans of a document that are searched for feedback; each took over what older ones have."""
_copy = aliased(Feedback)


def lock_reviewed_scans(
    session: Session, document_id: UUID, *, except_id: UUID
) -> dict[UUID, UUID]:
    """Return the scans with feedback of all versions of a document but for one: their documents, by id.

    Only the newest MAX_EARLIER scans are searched.

    Until the transaction ends, nobody may give feedback on them.
    """
    is_earlier = (Scan.document_id.in_(in_series_of(document_id)), Scan.id != except_id)
    newest = select(Scan.id).where(*is_earlier).order_by(Scan.id.desc()).limit(MAX_EARLIER)
    scan_id = newest.subquery("newest").c.id
    has_feedback = select(Feedback.id).where(Feedback.scan_id == scan_id).exists()
    # Most documents have none, and to lock each of their scans would take longer than to look.
    reviewed = session.scalars(select(scan_id).where(has_feedback)).all()
    if not reviewed:
        return {}
    query = select(Scan.id, Scan.document_id).where(Scan.id.in_(reviewed)).order_by(Scan.id)
    rows = session.execute(query.with_for_update()).all()
    return {row.id: row.document_id for row in rows if row.document_id is not None}


def newest_uncopied(session: Session, scan_ids: Collection[UUID]) -> Sequence[Feedback]:
    """Return the newest row of every target of some scans unless a scan took it over, oldest first.

    Withdrawals are included.
    """
    has_copy = select(_copy.id).where(_copy.origin_id == Feedback.id).exists()
    query = select(Feedback).where(Feedback.scan_id.in_(scan_ids), is_newest(), ~has_copy)
    return session.scalars(query.order_by(Feedback.created_at, Feedback.id)).all()


def finding_keys(
    session: Session, scan_ids: Collection[UUID]
) -> Sequence[Row[UUID, int, int | None, int | None, str]]:
    """Return scan id, number, start, end and fingerprint of all findings of some scans."""
    columns = (Finding.scan_id, Finding.n, Finding.start, Finding.end, Finding.fingerprint)
    return session.execute(select(*columns).where(Finding.scan_id.in_(scan_ids))).all()


def add_carried(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of feedback from their values by attribute, all columns of each."""
    if rows:
        session.execute(insert(Feedback), [dict(row) for row in rows])


def copies(session: Session, feedback_id: UUID) -> Sequence[Feedback]:
    """Return the rows that were carried over from a row and are their targets' newest."""
    carried = (Feedback.origin_id == feedback_id, Feedback.origin_scan_id.is_not(None))
    return session.scalars(
        select(Feedback).where(*carried, is_newest()).order_by(Feedback.id)
    ).all()
