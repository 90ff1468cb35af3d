"""Risks, the findings that support them, and where these are seen again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    and_,
    case,
    delete,
    false,
    func,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.orm import Session

from db.queries.feedback import is_newest
from db.queries.pages import Position, newest_first
from db.tables import (
    Document,
    Feedback,
    Finding,
    Risk,
    RiskChange,
    RiskFinding,
    RiskNote,
    RiskState,
    Scan,
    Team,
    TeamMember,
    User,
    Verdict,
)

Row = TypeVar("Row", bound=RiskNote | RiskChange)
SHOWN_SIGHTINGS = 20
"""Newest scans in which a supporting finding is listed."""


@dataclass(frozen=True, slots=True)
class RiskFilter:
    """Filters for the list of risks; a field that is None does not filter.

    `q` is part of title, description or mitigation in any case. `overdue_on` is a day: with `is_overdue`, the
    risks whose due date lies before it and that are neither accepted nor closed, or the others.
    """

    state: str | None = None
    owner_id: UUID | None = None
    category: str | None = None
    team_id: UUID | None = None
    likelihood: int | None = None
    impact: int | None = None
    q: str | None = None
    is_overdue: bool | None = None
    overdue_on: date | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """Whether a supporting finding is in later scans of its document's series.

    `last_seen_at` is the time of the newest scan that has it, `newest_at` that of the newest scan of all;
    both are None if no scan of the series is stored.
    """

    last_seen_at: datetime | None
    newest_at: datetime | None


def visible_to(user_id: UUID) -> ColumnElement[bool]:
    """Return the condition on risks that a user sees: own ones, those to answer for, and those of teams."""
    of_team = select(TeamMember.team_id).where(
        TeamMember.team_id == Risk.team_id, TeamMember.user_id == user_id
    )
    return or_(Risk.user_id == user_id, Risk.owner_id == user_id, of_team.exists())


def get_risk(session: Session, risk_id: UUID, user_id: UUID, *, lock: bool = False) -> Risk | None:
    """Return a risk that a user sees; with `lock`, other changes of it wait until the transaction ends."""
    query = select(Risk).where(Risk.id == risk_id, visible_to(user_id))
    if lock:
        query = query.with_for_update(of=Risk).execution_options(populate_existing=True)
    return session.scalar(query)


def visible_among(session: Session, user_id: UUID, risk_ids: Sequence[UUID]) -> Sequence[Risk]:
    """Return those of some risks that a user sees."""
    return session.scalars(select(Risk).where(Risk.id.in_(risk_ids), visible_to(user_id))).all()


def list_risks(
    session: Session,
    user_id: UUID,
    filters: RiskFilter,
    *,
    limit: int,
    after: Position | None = None,
) -> Sequence[Risk]:
    """Return up to `limit` risks that a user sees past the position `after`, newest first."""
    query = select(Risk).where(visible_to(user_id), *_conditions(filters))
    return session.scalars(newest_first(query, Risk, after=after).limit(limit)).all()


def count_by_cell(
    session: Session, user_id: UUID, filters: RiskFilter
) -> Mapping[tuple[int, int], int]:
    """Return the number of risks that a user sees by likelihood and impact."""
    cell = (Risk.likelihood, Risk.impact)
    query = select(*cell, func.count()).where(visible_to(user_id), *_conditions(filters))
    return {(row[0], row[1]): row[2] for row in session.execute(query.group_by(*cell))}


def count_created(session: Session, user_id: UUID) -> int:
    """Return how many stored risks a user created."""
    return session.scalar(select(func.count(Risk.id)).where(Risk.user_id == user_id)) or 0


def emails(session: Session, user_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Return the addresses of those accounts that exist, by id."""
    query = select(User.id, User.email).where(User.id.in_(user_ids))
    return {row.id: row.email for row in session.execute(query)}


def team_names(session: Session, team_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Return the names of teams by id."""
    query = select(Team.id, Team.name).where(Team.id.in_(team_ids))
    return {row.id: row.name for row in session.execute(query)}


def members(session: Session, team_id: UUID) -> Sequence[User]:
    """Return all members of a team by address."""
    return session.scalars(_members(team_id).order_by(User.email)).all()


def member_with_email(session: Session, team_id: UUID, email: str) -> User | None:
    """Return the member of a team with this address, in lower case."""
    return session.scalar(_members(team_id).where(User.email == email))


def teams_of(session: Session, user_id: UUID) -> Sequence[Team]:
    """Return the teams of a user."""
    query = select(Team).join(TeamMember, TeamMember.team_id == Team.id)
    return session.scalars(query.where(TeamMember.user_id == user_id)).all()


def list_of_risk(
    session: Session,
    table: type[Row],
    risk_id: UUID,
    *,
    limit: int,
    after: Position | None = None,
) -> Sequence[Row]:
    """Return up to `limit` notes or changes of a risk past `after`, newest first."""
    query = select(table).where(table.risk_id == risk_id)
    return session.scalars(newest_first(query, table, after=after).limit(limit)).all()


def findings_of(session: Session, risk_ids: Sequence[UUID]) -> Sequence[RiskFinding]:
    """Return the findings that support some risks, in the order in which they were added."""
    query = select(RiskFinding).where(RiskFinding.risk_id.in_(risk_ids))
    return session.scalars(query.order_by(RiskFinding.created_at, RiskFinding.id)).all()


def remove_finding(session: Session, risk_id: UUID, scan_id: UUID, n: int) -> bool:
    """Remove a finding from a risk; return whether it supported it."""
    of = (RiskFinding.risk_id == risk_id, RiskFinding.scan_id == scan_id, RiskFinding.n == n)
    return session.connection().execute(delete(RiskFinding).where(*of)).rowcount == 1


def delete_risk(session: Session, risk_id: UUID) -> None:
    """Delete a risk with its findings, notes and history."""
    session.execute(delete(Risk).where(Risk.id == risk_id))


def series_of(session: Session, scan: Scan) -> UUID | None:
    """Return the series of a scan's document; None without one."""
    if scan.document_id is None:
        return None
    return session.scalar(select(Document.series_id).where(Document.id == scan.document_id))


def sightings(session: Session, risk_ids: Sequence[UUID]) -> Mapping[UUID, Sighting]:
    """Return for each finding that supports some risks, by its id, where it is seen now."""
    at_sight = case((Finding.n.is_not(None), Scan.created_at))
    query = _scans_of_series(risk_ids, func.max(at_sight), func.max(Scan.created_at))
    query = query.outerjoin(Finding, _is_same_in(Scan)).group_by(RiskFinding.id)
    return {row[0]: Sighting(row[1], row[2]) for row in session.execute(query)}


def scans_with(
    session: Session, risk_id: UUID
) -> Mapping[UUID, Sequence[tuple[UUID, int, datetime]]]:
    """Return for each finding that supports a risk, by its id, the newest scans that have it, newest first.

    Each is the scan's id, the finding's number in it, and the scan's time; there are up to SHOWN_SIGHTINGS.
    """
    newest = (Scan.created_at.desc(), Scan.id.desc())
    place = func.row_number().over(partition_by=RiskFinding.id, order_by=newest).label("place")
    columns = (Scan.id.label("scan_id"), Finding.n, Scan.created_at, place)
    query = _scans_of_series([risk_id], *columns).join(Finding, _is_same_in(Scan))
    ranked = query.subquery()
    shown = select(ranked).where(ranked.c.place <= SHOWN_SIGHTINGS).order_by(ranked.c.place)
    scans: dict[UUID, list[tuple[UUID, int, datetime]]] = defaultdict(list)
    for row in session.execute(shown):
        scans[row.id].append((row.scan_id, row.n, row.created_at))
    return scans


def own_sentences(
    session: Session, user_id: UUID, sources: Sequence[tuple[UUID, int]]
) -> Mapping[tuple[UUID, int], tuple[str | None, str]]:
    """Return file name and sentence of those of some findings that are in a user's own scans, by source."""
    query = select(Finding.scan_id, Finding.n, Scan.filename, Finding.context)
    query = query.join(Scan, Scan.id == Finding.scan_id).where(
        Scan.user_id == user_id,
        or_(false(), *(and_(Finding.scan_id == scan_id, Finding.n == n) for scan_id, n in sources)),
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in session.execute(query)}


def verdicts_on_findings(
    session: Session, risk_ids: Sequence[UUID], *, only: UUID | None
) -> Sequence[tuple[UUID, Feedback]]:
    """Return each user's current verdict on each finding that supports some risks, with that finding's id.

    It is the user's newest in the finding's own scan and the other scans of the document's series; there is
    none if that is a withdrawal. The rows have no order. With `only`, they are the verdicts of this user and
    of the person who added the finding.
    """
    place = _places(risk_ids).c
    newest = (Feedback.created_at.desc(), Feedback.id.desc())
    rank = func.row_number().over(partition_by=(place.id, Feedback.user_id), order_by=newest)
    columns = (place.id, place.added_by, Feedback.id.label("feedback_id"), rank.label("nth"))
    is_on = and_(Feedback.scan_id == place.scan_id, Feedback.n == place.n)
    ranked = select(*columns).join(Feedback, is_on).where(is_newest()).subquery().c
    query = select(ranked.id, Feedback).join(Feedback, Feedback.id == ranked.feedback_id)
    query = query.where(ranked.nth == 1, Feedback.verdict != Verdict.WITHDRAWN)
    if only is not None:
        query = query.where(or_(Feedback.user_id == only, Feedback.user_id == ranked.added_by))
    return [(row[0], row[1]) for row in session.execute(query)]


def risks_in_scan(
    session: Session, user_id: UUID, scan: Scan, series_id: UUID | None
) -> Sequence[tuple[int, Risk]]:
    """Return the risks that a user sees and that findings of a scan support, by the finding's number."""
    sources = [select(RiskFinding.n, RiskFinding.risk_id).where(RiskFinding.scan_id == scan.id)]
    if series_id is not None:
        is_same = and_(
            RiskFinding.series_id == series_id,
            RiskFinding.fingerprint == Finding.fingerprint,
            RiskFinding.source_user_id == scan.user_id,
        )
        same = select(Finding.n, RiskFinding.risk_id).join(RiskFinding, is_same)
        sources.append(same.where(Finding.scan_id == scan.id))
    # With OR in place of UNION, no index would serve both.
    supported = union(*sources).subquery()
    query = select(supported.c.n, Risk).join(Risk, Risk.id == supported.c.risk_id)
    rows = session.execute(query.where(visible_to(user_id)).order_by(supported.c.n))
    return [(row[0], row[1]) for row in rows]


def erase_sources(session: Session, user_id: UUID) -> None:
    """Blank in all risks what names or quotes documents of a user, and forget their series."""
    blank = {"context": "", "filename": None, "part": None, "series_id": None}
    change = update(RiskFinding).where(RiskFinding.source_user_id == user_id).values(blank)
    session.execute(change.execution_options(synchronize_session=False))


def delete_unreachable(session: Session, *, without: UUID | None = None) -> int:
    """Delete the risks that nobody sees, or nobody but `without`; return their number.

    Those are risks whose creator and owner have no account, and whose team, if any, has no members.
    """
    sees = select(User.id).where(or_(User.id == Risk.user_id, User.id == Risk.owner_id))
    member = select(TeamMember.user_id).where(TeamMember.team_id == Risk.team_id)
    query = select(Risk.id)
    if without is not None:
        sees, member = sees.where(User.id != without), member.where(TeamMember.user_id != without)
        query = query.where(visible_to(without))
    query = query.where(~sees.exists(), ~member.exists())
    ids = session.scalars(query).all()
    for risk_id in ids:
        delete_risk(session, risk_id)
    return len(ids)


def _members(team_id: UUID) -> Select[User]:
    query = select(User).join(TeamMember, TeamMember.user_id == User.id)
    return query.where(TeamMember.team_id == team_id)


def _scans_of_series(risk_ids: Sequence[UUID], *columns: Any) -> Select[Any]:  # noqa: ANN401 - columns of any type
    """Return the query for the scans of the series of each finding that supports some risks."""
    return (
        select(RiskFinding.id, *columns)
        .join(
            Document,
            and_(
                Document.series_id == RiskFinding.series_id,
                Document.user_id == RiskFinding.source_user_id,
            ),
        )
        .join(Scan, Scan.document_id == Document.id)
        .where(RiskFinding.risk_id.in_(risk_ids))
    )


def _places(risk_ids: Sequence[UUID]) -> Subquery:
    """Return scan and number of each finding that supports some risks, in its own scan and in its series."""
    added_by = RiskFinding.user_id.label("added_by")
    own = select(RiskFinding.id, added_by, RiskFinding.scan_id, RiskFinding.n)
    own = own.where(RiskFinding.risk_id.in_(risk_ids))
    later = _scans_of_series(risk_ids, added_by, Finding.scan_id, Finding.n)
    # SQLite stores the result of UNION first. With UNION ALL it would read the feedback first, by an index
    # that narrows it to a scan only: seven times slower with 150 findings a scan.
    return union(own, later.join(Finding, _is_same_in(Scan))).subquery()


def _is_same_in(scan: type[Scan]) -> ColumnElement[bool]:
    return and_(Finding.scan_id == scan.id, Finding.fingerprint == RiskFinding.fingerprint)


def _conditions(filters: RiskFilter) -> list[ColumnElement[bool]]:
    names = ("state", "owner_id", "category", "team_id", "likelihood", "impact")
    values = ((getattr(Risk, name), getattr(filters, name)) for name in names)
    conditions = [column == value for column, value in values if value is not None]
    if filters.q:
        columns = (Risk.title, Risk.description, Risk.mitigation)
        conditions.append(or_(*(c.icontains(filters.q, autoescape=True) for c in columns)))
    if filters.is_overdue is not None:
        is_overdue = and_(
            Risk.due_on.is_not(None),
            Risk.due_on < filters.overdue_on,
            Risk.state.in_([RiskState.OPEN, RiskState.MITIGATING]),
        )
        # NOT of a comparison with NULL would be NULL.
        not_due = or_(
            Risk.due_on.is_(None),
            Risk.due_on >= filters.overdue_on,
            Risk.state.in_([RiskState.ACCEPTED, RiskState.CLOSED]),
        )
        conditions.append(is_overdue if filters.is_overdue else not_due)
    return conditions
