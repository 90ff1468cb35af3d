"""Feedback on findings and missed risks: rows are added, never changed; the newest revision counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session, aliased

from db.queries.pages import Position, newest_first
from db.queries.reach import EVERYONE, Reach, scan_in_reach
from db.tables import Feedback, Finding, Scan, Verdict

_later, _copy, _origin = aliased(Feedback), aliased(Feedback), aliased(Feedback)


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a user's verdict: finding `n`, or the missed risk at a span if `n` is 0."""

    scan_id: UUID
    user_id: UUID
    n: int
    start: int
    end: int


def erase_comments(session: Session, user_id: UUID) -> None:
    """Blank the comments that a user wrote; the verdicts stay."""
    wrote = (Feedback.user_id == user_id, Feedback.comment.is_not(None))
    session.execute(update(Feedback).where(*wrote).values(comment=None))


def scan_under_review(
    session: Session, scan_id: UUID, *, reach: Reach = EVERYONE, lock: bool = False
) -> Scan | None:
    """Return a scan; None if it is not in reach.

    With `lock`, other feedback on the scan waits until this transaction ends (SQLite has one writer).
    """
    query = select(Scan).where(Scan.id == scan_id, *scan_in_reach(reach))
    return session.scalar(query.with_for_update() if lock else query)


def get_finding(session: Session, scan_id: UUID, n: int) -> Finding | None:
    """Return finding `n` of a scan."""
    return session.get(Finding, (scan_id, n))


def findings_at(session: Session, scan_id: UUID, start: int, end: int) -> Sequence[Finding]:
    """Return the findings whose span is exactly start..end, by number."""
    query = select(Finding).where(
        Finding.scan_id == scan_id, Finding.start == start, Finding.end == end
    )
    return session.scalars(query.order_by(Finding.n)).all()


def add_feedback(session: Session, target: Target, values: Mapping[str, Any]) -> Feedback:
    """Insert a row; `values` are all columns except the target's.

    Raises:
        IntegrityError: the scan is gone, or the target has this revision.
    """
    row = Feedback(
        scan_id=target.scan_id,
        user_id=target.user_id,
        n=target.n,
        start=target.start,
        end=target.end,
        **values,
    )
    session.add(row)
    session.flush()
    return row


def is_verified(session: Session, target: Target, context: str) -> bool:
    """Return whether anybody's report of this sentence at the target's span is verified."""
    query = select(Feedback.id).where(
        Feedback.scan_id == target.scan_id,
        Feedback.start == target.start,
        Feedback.end == target.end,
        Feedback.context == context,
        Feedback.verified,
    )
    return session.scalar(query.limit(1)) is not None


def newest(session: Session, target: Target) -> Feedback | None:
    """Return the newest row of a target, withdrawals included."""
    query = select(Feedback).where(
        Feedback.scan_id == target.scan_id,
        Feedback.user_id == target.user_id,
        Feedback.n == target.n,
        Feedback.start == target.start,
        Feedback.end == target.end,
    )
    return session.scalar(query.order_by(Feedback.revision.desc()).limit(1))


def feedback_by_id(session: Session, feedback_id: UUID) -> Feedback | None:
    """Return a row by its id, whether it is current or not."""
    return session.get(Feedback, feedback_id)


def current_verdicts(session: Session, scan_id: UUID, n: int, *, limit: int) -> Sequence[Feedback]:
    """Return up to `limit` users' current verdicts on a finding, newest first."""
    query = select(Feedback).where(Feedback.scan_id == scan_id, Feedback.n == n, *is_current())
    return session.scalars(newest_first(query, Feedback).limit(limit)).all()


def verdict_history(
    session: Session, scan_id: UUID, n: int, *, user_id: UUID | None = None, limit: int
) -> Sequence[Feedback]:
    """Return up to `limit` rows of a finding, newest first, withdrawn and superseded ones included."""
    query = select(Feedback).where(Feedback.scan_id == scan_id, Feedback.n == n)
    if user_id is not None:
        query = query.where(Feedback.user_id == user_id)
    return session.scalars(newest_first(query, Feedback).limit(limit)).all()


def own_verdicts(
    session: Session, scan_id: UUID, user_id: UUID, numbers: Sequence[int]
) -> dict[int, Feedback]:
    """Return a user's current verdicts on the findings `numbers` of a scan, by number."""
    query = select(Feedback).where(
        Feedback.scan_id == scan_id,
        Feedback.user_id == user_id,
        Feedback.n.in_(numbers),
        *is_current(),
    )
    return {row.n: row for row in session.scalars(query)}


def list_current(
    session: Session,
    scan_id: UUID,
    *,
    user_id: UUID | None = None,
    limit: int,
    after: Position | None = None,
) -> Sequence[Feedback]:
    """Return up to `limit` current rows of a scan, newest first, past the position `after`."""
    query = select(Feedback).where(Feedback.scan_id == scan_id, *is_current())
    if user_id is not None:
        query = query.where(Feedback.user_id == user_id)
    query = newest_first(query, Feedback, after=after)
    return session.scalars(query.limit(limit)).all()


def scans_with_feedback(
    session: Session, *, since: datetime | None, after: UUID | None, limit: int
) -> Sequence[UUID]:
    """Return up to `limit` ids above `after`, ascending, of scans with a row created at or after `since`."""
    query = select(Feedback.scan_id).distinct()
    if since is not None:
        query = query.where(Feedback.created_at >= since)
    if after is not None:
        query = query.where(Feedback.scan_id > after)
    return session.scalars(query.order_by(Feedback.scan_id).limit(limit)).all()


def newest_by_target(session: Session, scan_id: UUID) -> Sequence[Feedback]:
    """Return the newest row of every target of a scan, withdrawals included, by span and time.

    Rows that count in another scan are left out.
    """
    query = select(Feedback).where(Feedback.scan_id == scan_id, is_newest(), counts_here())
    order = (Feedback.start, Feedback.end, Feedback.n, Feedback.created_at, Feedback.id)
    return session.scalars(query.order_by(*order)).all()


def findings_at_spans(
    session: Session, scan_id: UUID, spans: Set[tuple[int, int]]
) -> Sequence[Finding]:
    """Return the findings of a scan with a span in `spans`, by number; (0, 0) means no span."""
    # Filtered here, not by a join: no index has spans, so a join would compare each pair.
    query = select(Finding).where(Finding.scan_id == scan_id).order_by(Finding.n)
    return [f for f in session.scalars(query) if (f.start or 0, f.end or 0) in spans]


def is_newest(row: type[Feedback] = Feedback) -> ColumnElement[bool]:
    """Return the condition that a row of the table, or of its alias, is the newest of its target."""
    is_same_target = (
        _later.scan_id == row.scan_id,
        _later.user_id == row.user_id,
        _later.n == row.n,
        _later.start == row.start,
        _later.end == row.end,
    )
    return ~select(_later.id).where(*is_same_target, _later.revision > row.revision).exists()


def counts_here() -> ColumnElement[bool]:
    """Return the condition by which a row counts with its own scan, not with one that has the same verdict.

    Without it, statistics would count a carried verdict twice.
    """
    counting_copy = select(_copy.id).where(_copy.origin_id == Feedback.id, _copy.counts)
    origin = select(_origin.id).where(_origin.id == Feedback.origin_id)
    return ~counting_copy.exists() & (Feedback.counts | ~origin.exists())


def is_current(
    row: type[Feedback] = Feedback,
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions on rows that are their target's newest and not a withdrawal."""
    return row.verdict != Verdict.WITHDRAWN, is_newest(row)
