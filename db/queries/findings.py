"""Findings over all scans in reach: the list with its filters, and the verdicts on its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, or_, select
from sqlalchemy.orm import Session, aliased

from db.queries.feedback import is_current
from db.queries.places import Place, at_places
from db.queries.reach import (
    EVERYONE,
    Reach,
    is_by_index,
    scan_in_reach,
    scans_of,
    work_session_in_reach,
)
from db.queries.scans import NEWEST_FIRST, NEWEST_FIRST_OF_ALL
from db.tables import (
    DocumentShare,
    Feedback,
    File,
    Finding,
    Scan,
    ScanShare,
    TeamMember,
    Verdict,
    WorkSession,
)

Position = tuple[datetime, UUID, int]
"""The scan's created_at and id, and the finding's number, of the last row of a page."""
_Condition = ColumnElement[bool]
_other = aliased(Feedback)


@dataclass(frozen=True, slots=True)
class FindingFilter:
    """Filters for the list of findings; a field that is None does not filter.

    A sentence must contain each of `words`, ignoring case. `created_from` is inclusive, `created_before`
    exclusive. `is_open` lists findings without a verdict; it and `verdict` exclude each other.
    """

    category: str | None = None
    risk_type: str | None = None
    words: tuple[str, ...] = ()
    source: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    document_id: UUID | None = None
    work_session_id: UUID | None = None
    team_id: UUID | None = None
    verdict: Verdict | None = None
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Viewer:
    """What a user may read at all, and the author whose verdicts alone they see, None for everyone's."""

    readable: Reach
    author_id: UUID | None


def list_findings(
    session: Session,
    reach: Reach,
    viewer: Viewer,
    filters: FindingFilter,
    *,
    limit: int,
    after: Position | None = None,
) -> Sequence[Row[Finding, Scan]]:
    """Return up to `limit` findings with their scans: newest scan first, then by number."""
    matching = [*_of_finding(filters), *_of_verdict(filters, viewer)]
    scans = _newest_scans(reach, viewer, filters, matching, after=after)
    page = scans.limit(limit).subquery("page")  # each has a finding that matches
    query = select(Finding, Scan).join(Scan, Scan.id == Finding.scan_id)
    query = query.join(page, page.c.id == Finding.scan_id).where(*matching)
    if after is not None:
        query = query.where(or_(Finding.scan_id != after[1], Finding.n > after[2]))
    order = (page.c.created_at.desc(), page.c.id.desc(), Finding.n)
    return session.execute(query.order_by(*order).limit(limit)).all()


def findings_at(
    session: Session, reach: Reach, places: Sequence[Place]
) -> dict[Place, Row[Finding, Scan]]:
    """Return those findings at `places` that are in reach, with their scans, by place."""
    if not places:
        return {}
    query = select(Finding, Scan).join(Scan, Scan.id == Finding.scan_id)
    query = at_places(session, query.where(*scan_in_reach(reach)), Finding, places)
    return {(row[0].scan_id, row[0].n): row for row in session.execute(query)}


def verdicts_at(session: Session, viewer: Viewer, places: Iterable[Place]) -> dict[Place, str]:
    """Return the newest verdict on each finding at `places` that has one which the viewer sees."""
    wanted = list(places)
    if not wanted:
        return {}
    query = select(Feedback.scan_id, Feedback.n, Feedback.verdict)
    query = query.where(*is_current(), *_by(viewer, Feedback))
    query = at_places(session, query, Feedback, wanted)
    rows = session.execute(query.order_by(Feedback.created_at, Feedback.id))
    return {(row.scan_id, row.n): row.verdict for row in rows}


def _newest_scans(
    reach: Reach,
    viewer: Viewer,
    filters: FindingFilter,
    matching: Sequence[_Condition],
    *,
    after: Position | None,
) -> Select[UUID, datetime]:
    """Return the query for id and time of the newest scans that have a finding to list."""
    index = NEWEST_FIRST_OF_ALL if reach.is_everyones else NEWEST_FIRST
    query = select(Scan.id, Scan.created_at)
    query = query.where(*scans_of(reach), *_of_scan(filters, viewer))
    listed = [Finding.scan_id == Scan.id, *matching]
    if after is not None:
        created_at, scan_id, n = after
        query = query.where(
            Scan.created_at <= created_at, or_(Scan.created_at < created_at, Scan.id <= scan_id)
        )
        listed.append(or_(Finding.scan_id != scan_id, Finding.n > n))
    query = query.where(select(Finding.n).where(*listed).exists())
    for dialect in ("mysql", "mariadb") if is_by_index(reach) else ():
        # As in db.queries.scans: MariaDB ignores LIMIT when it chooses a plan.
        query = query.with_hint(Scan, f"FORCE INDEX ({index})", dialect)
    return query.order_by(Scan.created_at.desc(), Scan.id.desc())


def _of_scan(filters: FindingFilter, viewer: Viewer) -> list[_Condition]:
    conditions: list[_Condition] = []
    if filters.source is not None:
        conditions.append(Scan.source == filters.source)
    if filters.created_from is not None:
        conditions.append(Scan.created_at >= filters.created_from)
    if filters.created_before is not None:
        conditions.append(Scan.created_at < filters.created_before)
    if filters.document_id is not None:
        conditions.append(Scan.document_id == filters.document_id)
    if filters.work_session_id is not None:
        conditions.append(_is_of_session(filters.work_session_id, viewer))
    if filters.team_id is not None:
        conditions.append(_is_shared_with(filters.team_id, viewer))
    if filters.verdict is not None:  # spares the findings of scans without such a verdict
        has_verdict = (Feedback.scan_id == Scan.id, Feedback.verdict == filters.verdict)
        conditions.append(select(Feedback.id).where(*has_verdict).exists())
    return conditions


def _of_finding(filters: FindingFilter) -> list[_Condition]:
    conditions: list[_Condition] = []
    if filters.category is not None:
        conditions.append(Finding.category == filters.category)
    if filters.risk_type is not None:
        conditions.append(Finding.risk_type == filters.risk_type)
    conditions += [Finding.context.icontains(word, autoescape=True) for word in filters.words]
    return conditions


def _of_verdict(filters: FindingFilter, viewer: Viewer) -> list[_Condition]:
    is_on = (Feedback.scan_id == Finding.scan_id, Feedback.n == Finding.n)
    seen = [*is_on, *is_current(), *_by(viewer, Feedback)]
    if filters.is_open:
        return [~select(Feedback.id).where(*seen).exists()]
    if filters.verdict is None:
        return []
    later = (
        _other.scan_id == Feedback.scan_id,
        _other.n == Feedback.n,
        _other.user_id != Feedback.user_id,
        or_(
            _other.created_at > Feedback.created_at,
            and_(_other.created_at == Feedback.created_at, _other.id > Feedback.id),
        ),
        *is_current(_other),
    )
    newest = [] if viewer.author_id is not None else [~select(_other.id).where(*later).exists()]
    has_verdict = select(Feedback.id).where(*seen, Feedback.verdict == filters.verdict, *newest)
    return [has_verdict.exists()]


def _by(viewer: Viewer, feedback: type[Feedback]) -> list[_Condition]:
    return [] if viewer.author_id is None else [feedback.user_id == viewer.author_id]


def _is_of_session(work_session_id: UUID, viewer: Viewer) -> _Condition:
    """The scan's document has the bytes of a file in a session that the viewer may read."""
    query = select(File.id).join(WorkSession, WorkSession.id == File.work_session_id)
    return query.where(
        WorkSession.id == work_session_id,
        File.user_id == Scan.user_id,
        File.sha256 == Scan.document_sha256,
        *work_session_in_reach(viewer.readable),
    ).exists()


def _is_shared_with(team_id: UUID, viewer: Viewer) -> _Condition:
    of_scan = select(ScanShare.team_id).where(
        ScanShare.scan_id == Scan.id, ScanShare.team_id == team_id
    )
    of_document = select(DocumentShare.team_id).where(
        DocumentShare.document_id == Scan.document_id, DocumentShare.team_id == team_id
    )
    is_shared = or_(of_scan.exists(), of_document.exists())
    if viewer.readable == EVERYONE:
        return is_shared
    is_member = (TeamMember.team_id == team_id, TeamMember.user_id == viewer.readable.member_id)
    return and_(is_shared, select(TeamMember.team_id).where(*is_member).exists())
