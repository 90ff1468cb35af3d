"""Risks as people see them: with names, and with where their findings are seen now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Concatenate, ParamSpec
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import risks as queries
from db.queries.pages import Position
from db.queries.risks import RiskFilter, Sighting
from db.queries.teams import is_member
from db.tables import (
    Feedback,
    Risk,
    RiskChange,
    RiskFinding,
    RiskNote,
    RiskState,
    User,
)
from service.domain.access import only_author
from service.domain.risks.risks import get_risk, may_change
from service.domain.verdicts import Standing, current_verdict

P = ParamSpec("P")
_NOT_SEEN = Sighting(None, None)
_DONE = {RiskState.ACCEPTED, RiskState.CLOSED}


@dataclass(frozen=True, slots=True)
class RiskView:
    """A risk with the addresses of its creator and owner (None: deleted) and the name of its team.

    `last_seen_at` is the time of the newest scan that has one of its findings. `seen_in_newest` says whether
    the newest scan of a document that supports it still has the finding; None if no such scan is stored.
    `n_rejected` is how many of its findings are rejected now, by the verdicts that the reader may see; None
    if the verdicts were not read.
    """

    risk: Risk
    creator: str | None
    owner: str | None
    team: str | None
    n_findings: int
    last_seen_at: datetime | None
    seen_in_newest: bool | None
    n_rejected: int | None

    @property
    def id(self) -> UUID:
        """The risk's."""
        return self.risk.id

    @property
    def created_at(self) -> datetime:
        """The risk's."""
        return self.risk.created_at

    @property
    def is_overdue(self) -> bool:
        """Whether the due date lies before today (UTC) and the risk is neither accepted nor closed."""
        due = self.risk.due_on
        return due is not None and due < datetime.now(UTC).date() and self.risk.state not in _DONE


@dataclass(frozen=True, slots=True)
class SupportingFinding:
    """The copy of a finding, and the newest scans that have it: id, the finding's number, time.

    `standing` is what the verdicts on it come to now; None without any.
    """

    row: RiskFinding
    last_seen_at: datetime
    seen_in_newest: bool | None
    seen_in: Sequence[tuple[UUID, int, datetime]]
    standing: Standing | None


@dataclass(frozen=True, slots=True)
class RiskDetail:
    """A risk with its findings, and whether the reader may change it."""

    view: RiskView
    findings: Sequence[SupportingFinding]
    may_change: bool


@dataclass(frozen=True, slots=True)
class Signed:
    """A note or a change with the address of its author; None if the account was deleted."""

    row: RiskNote | RiskChange
    author: str | None

    @property
    def id(self) -> UUID:
        """The row's."""
        return self.row.id

    @property
    def created_at(self) -> datetime:
        """The row's."""
        return self.row.created_at


def list_risks(
    session: Session,
    user_id: UUID,
    filters: RiskFilter,
    *,
    limit: int,
    after: Position | None = None,
) -> list[RiskView]:
    """Return up to `limit` risks that a user sees, newest first, past the position `after`."""
    return views(session, queries.list_risks(session, user_id, filters, limit=limit, after=after))


def list_risks_with_verdicts(
    session: Session,
    user: User,
    filters: RiskFilter,
    *,
    limit: int,
    after: Position | None = None,
) -> list[RiskView]:
    """Return risks as `list_risks` does, with `n_rejected`."""
    risks = queries.list_risks(session, user.id, filters, limit=limit, after=after)
    standings = _standings(session, user, [risk.id for risk in risks])
    return views(session, risks, standings=standings)


def get_detail(session: Session, user: User, risk_id: UUID) -> RiskDetail:
    """Return a risk with its findings; NotFound if the user sees none with this id."""
    return _detail(session, user, get_risk(session, user.id, risk_id))


def with_detail(
    work: Callable[Concatenate[Session, User, P], Risk],
) -> Callable[Concatenate[Session, User, P], RiskDetail]:
    """Return `work`, which creates or changes a risk, so that it returns the risk's detail.

    It does so even if the user no longer sees the risk. A read in a transaction of its own could fail after
    the risk is stored.
    """

    def work_with_detail(
        session: Session, user: User, /, *args: P.args, **kwargs: P.kwargs
    ) -> RiskDetail:
        return _detail(session, user, work(session, user, *args, **kwargs))

    return work_with_detail


def views(
    session: Session, risks: Sequence[Risk], *, standings: Mapping[UUID, Standing] | None = None
) -> list[RiskView]:
    """Return risks with names and sightings; `standings` are those of their findings, if they were read."""
    ids = [risk.id for risk in risks]
    rows, seen = queries.findings_of(session, ids), queries.sightings(session, ids)
    return _views(session, risks, rows, seen, standings)


def _views(
    session: Session,
    risks: Sequence[Risk],
    supporting: Sequence[RiskFinding],
    seen: Mapping[UUID, Sighting],
    standings: Mapping[UUID, Standing] | None,
) -> list[RiskView]:
    people = {person for risk in risks for person in (risk.user_id, risk.owner_id)}
    emails = queries.emails(session, [*people])
    teams = queries.team_names(session, [risk.team_id for risk in risks if risk.team_id])
    findings: dict[UUID, list[RiskFinding]] = defaultdict(list)
    for row in supporting:
        findings[row.risk_id].append(row)
    return [
        RiskView(
            risk,
            emails.get(risk.user_id),
            emails.get(risk.owner_id),
            teams.get(risk.team_id) if risk.team_id else None,
            len(rows := findings[risk.id]),
            max((_last_seen(row, seen.get(row.id, _NOT_SEEN)) for row in rows), default=None),
            _any_in_newest([_in_newest(seen.get(row.id, _NOT_SEEN)) for row in rows]),
            None
            if standings is None
            else sum(standings.get(row.id) == Standing.REJECTED for row in rows),
        )
        for risk in risks
    ]


def list_signed(
    session: Session,
    user_id: UUID,
    risk_id: UUID,
    table: type[RiskNote] | type[RiskChange],
    *,
    limit: int,
    after: Position | None = None,
) -> list[Signed]:
    """Return up to `limit` notes or changes of a risk that a user sees, newest first."""
    get_risk(session, user_id, risk_id)
    rows = queries.list_of_risk(session, table, risk_id, limit=limit, after=after)
    emails = queries.emails(session, [*{row.user_id for row in rows}])
    return [Signed(row, emails.get(row.user_id)) for row in rows]


def count_cells(session: Session, user_id: UUID, filters: RiskFilter) -> list[list[int]]:
    """Return the number of risks, a row for each likelihood from 1 to 5, a column for each impact."""
    cells = queries.count_by_cell(session, user_id, filters)
    return [
        [cells.get((likelihood, impact), 0) for impact in range(1, 6)] for likelihood in range(1, 6)
    ]


def possible_owners(session: Session, user: User, team_id: UUID | None) -> list[User]:
    """Return the accounts that may own a risk of a team of the user; the user alone without a team."""
    if team_id is None or not is_member(session, team_id, user.id):
        return [user]
    return [*queries.members(session, team_id)]


def today() -> date:
    """Return the day by which due dates are compared, in UTC."""
    return datetime.now(UTC).date()


def _detail(session: Session, user: User, risk: Risk) -> RiskDetail:
    rows, seen = queries.findings_of(session, [risk.id]), queries.sightings(session, [risk.id])
    seen_in = queries.scans_with(session, risk.id)
    standings = _standings(session, user, [risk.id])
    findings = [
        SupportingFinding(
            row,
            _last_seen(row, seen.get(row.id, _NOT_SEEN)),
            _in_newest(seen.get(row.id, _NOT_SEEN)),
            seen_in.get(row.id, []),
            standings.get(row.id),
        )
        for row in rows
    ]
    [view] = _views(session, [risk], rows, seen, standings)
    return RiskDetail(view, findings, may_change(session, user, risk))


def _standings(session: Session, user: User, risk_ids: Sequence[UUID]) -> Mapping[UUID, Standing]:
    """Return what the verdicts on findings that support some risks come to, by the copy's id.

    Of each user the newest verdict in any scan of the document counts. Reviewers read everyone's verdicts;
    others read their own and that of the person who added the finding, who gave it to the risk's readers.
    """
    given: dict[UUID, list[Feedback]] = defaultdict(list)
    for copy_id, row in queries.verdicts_on_findings(session, risk_ids, only=only_author(user)):
        given[copy_id].append(row)
    verdicts = {copy_id: current_verdict(rows) for copy_id, rows in given.items()}
    return {copy_id: verdict.standing for copy_id, verdict in verdicts.items() if verdict}


def _last_seen(row: RiskFinding, sighting: Sighting) -> datetime:
    return max(row.scanned_at, sighting.last_seen_at or row.scanned_at)


def _in_newest(sighting: Sighting) -> bool | None:
    if sighting.newest_at is None:
        return None
    return sighting.last_seen_at == sighting.newest_at


def _any_in_newest(states: Sequence[bool | None]) -> bool | None:
    known = [state for state in states if state is not None]
    return any(known) if known else None
