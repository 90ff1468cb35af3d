"""What reviewers look at: open findings, verdicts to compare, and counts, in the newest scans in reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.orm import Session, aliased

from db.queries.feedback import counts_here
from db.queries.places import Place, at_places
from db.queries.reach import Reach, scans_of
from db.tables import REVIEWERS, Feedback, Finding, Scan, Verdict

_later = aliased(Feedback)


@dataclass(frozen=True, slots=True)
class Window:
    """The newest `n_scans` scans in `reach`, and at most `n_rows` rows of them."""

    reach: Reach
    n_scans: int
    n_rows: int


def open_findings(
    session: Session, user_id: UUID, window: Window, *, category: str | None = None
) -> Sequence[Row[UUID, int, str | None, float]]:
    """Return scan id, number, risk type and score of findings that neither a reviewer nor the user judged."""
    query = (
        select(Finding.scan_id, Finding.n, Finding.risk_type, Finding.score)
        .where(Finding.scan_id.in_(_newest(window)), Finding.score.is_not(None))
        .where(~_judged(Feedback.role.in_(REVIEWERS) | (Feedback.user_id == user_id)))
    )
    if category is not None:
        query = query.where(Finding.category == category)
    return session.execute(query.limit(window.n_rows)).all()  # type: ignore[return-value]  # score is not null


def findings_with_scans(session: Session, places: Sequence[Place]) -> Sequence[Row[Finding, Scan]]:
    """Return the findings at `places` with their scans, in the order of `places`."""
    if not places:
        return []
    query = select(Finding, Scan).join(Scan, Scan.id == Finding.scan_id)
    rows = session.execute(at_places(session, query, Finding, places)).all()
    by_place = {(finding.scan_id, finding.n): row for row in rows for finding in (row[0],)}
    return [by_place[place] for place in places if place in by_place]


def verdicts(
    session: Session, window: Window, *, category: str | None = None
) -> Sequence[Row[Feedback, Finding]]:
    """Return the current verdicts on findings of the newest scans that have one, with the findings."""
    scans = (
        select(Feedback.scan_id)
        .join(Scan, Scan.id == Feedback.scan_id)
        .where(Feedback.n > 0, counts_here(), *scans_of(window.reach))
        .group_by(Feedback.scan_id)
        .order_by(func.max(Feedback.created_at).desc())
        .limit(window.n_scans)
        .subquery()
    )
    query = (
        select(Feedback, Finding)
        .join(scans, scans.c.scan_id == Feedback.scan_id)
        .join(Finding, (Finding.scan_id == Feedback.scan_id) & (Finding.n == Feedback.n))
        .where(*_current(), counts_here())
        .order_by(Feedback.created_at.desc(), Feedback.id)
    )
    if category is not None:
        query = query.where(Finding.category == category)
    return session.execute(query.limit(window.n_rows)).all()


def counts_by_day(
    session: Session, reach: Reach, *, since: datetime
) -> Sequence[Row[str, str | None, int]]:
    """Return day (UTC), category and number of the findings in scans in reach."""
    day = func.date(Scan.created_at)
    query = select(day, Finding.category, func.count()).join(Scan, Scan.id == Finding.scan_id)
    query = query.where(*_scanned(reach, since)).group_by(day, Finding.category)
    return session.execute(query.order_by(day, Finding.category)).all()


def count_findings(session: Session, reach: Reach, *, since: datetime, is_judged: bool) -> int:
    """Count the findings with (or without) a verdict of anybody, in scans in reach."""
    judged = _judged()
    query = select(func.count()).select_from(Finding).join(Scan, Scan.id == Finding.scan_id)
    query = query.where(*_scanned(reach, since), judged if is_judged else ~judged)
    return session.scalar(query) or 0


def _newest(window: Window) -> Select[UUID]:
    newest = (
        select(Scan.id)
        .where(*scans_of(window.reach))
        .order_by(Scan.created_at.desc(), Scan.id.desc())
    )
    return select(newest.limit(window.n_scans).subquery().c.id)  # MariaDB takes no LIMIT inside IN


def _scanned(reach: Reach, since: datetime) -> list[ColumnElement[bool]]:
    return [*scans_of(reach), Scan.created_at >= since]


def _judged(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    is_same = (Feedback.scan_id == Finding.scan_id, Feedback.n == Finding.n)
    return select(Feedback.id).where(*is_same, *conditions, *_current()).exists()


def _current() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    is_same_target = (
        _later.scan_id == Feedback.scan_id,
        _later.user_id == Feedback.user_id,
        _later.n == Feedback.n,
    )
    is_newest = (
        ~select(_later.id).where(*is_same_target, _later.revision > Feedback.revision).exists()
    )
    return Feedback.verdict != Verdict.WITHDRAWN, is_newest
