"""Use cases of the register: create, read, change and delete risks, and note something on them.

A risk is visible to its creator, its owner and the members of its team. Creator, owner and the reviewers of
the team may change it. Each function raises NotFound for a risk that the user does not see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.orm import Session

from db.queries import risks as queries
from db.queries import teams
from db.queries.users import has_user, lock_user
from db.tables import Permission, Risk, RiskChange, RiskNote, RiskState, User, may
from service.domain.audit import Action, Actor, event, record
from service.domain.versions import Expected, check_version
from service.errors import (
    Conflict,
    Fault,
    Forbidden,
    InvalidRequest,
    NotFound,
    Unauthenticated,
)

MAX_RISKS = 10_000
"""Risks that one account creates."""
NO_RISK = "There is no risk with this id that you may see."
FIELDS = (
    "title",
    "description",
    "category",
    "risk_type",
    "owner_id",
    "team_id",
    "likelihood",
    "impact",
    "due_on",
    "mitigation",
    "state",
)
"""What people change, in the order of the history."""


@dataclass(frozen=True, slots=True)
class NewRisk:
    """The values of a new risk; without `owner_id`, its creator owns it."""

    title: str
    description: str = ""
    category: str | None = None
    risk_type: str | None = None
    owner_id: UUID | None = None
    team_id: UUID | None = None
    likelihood: int = 3
    impact: int = 3
    due_on: date | None = None
    mitigation: str = ""
    state: RiskState = RiskState.OPEN
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Change(NamedTuple):
    """A field, and its values before and after."""

    field: str
    before: object
    after: object


def create_risk(session: Session, user: User, new: NewRisk) -> Risk:
    """Create a risk.

    Raises:
        InvalidRequest: the user is not in the team, or the owner neither is the user nor in the team.
        Conflict: the user has created MAX_RISKS risks.
        Unauthenticated: the account was deleted meanwhile.
    """
    if lock_user(session, user.id) is None:
        raise Unauthenticated("This account was deleted meanwhile.")
    if queries.count_created(session, user.id) >= MAX_RISKS:
        raise Conflict(f"You have created {MAX_RISKS:,} risks, the limit. Delete some first.")
    values = {name: getattr(new, name) for name in FIELDS}
    values["owner_id"] = new.owner_id or user.id
    _check_people(session, user, values, present=None)
    risk = Risk(
        id=uuid_utils.compat.uuid7(),
        user_id=user.id,
        version=1,
        created_at=new.created_at,
        changed_at=new.created_at,
        **values,
    )
    session.add(risk)
    record_risk(session, Action.RISK_CREATED, risk.id, user.id)
    session.flush()
    return risk


def get_risk(session: Session, user_id: UUID, risk_id: UUID, *, lock: bool = False) -> Risk:
    """Return a risk that a user sees; with `lock`, its changes and deletion wait for this transaction."""
    risk = queries.get_risk(session, risk_id, user_id, lock=lock)
    if risk is None:
        raise NotFound(NO_RISK)
    return risk


def change_risk(
    session: Session,
    user: User,
    risk_id: UUID,
    changes: Mapping[str, Any],
    *,
    expected: Expected,
) -> Risk:
    """Change some of FIELDS, and record who changed what; nothing happens if they have these values.

    Raises:
        PreconditionFailed: somebody changed the risk meanwhile.
        Forbidden: the user sees the risk, but may not change it.
        InvalidRequest: as in `create_risk`.
    """
    risk = changeable_risk(session, user, risk_id)
    check_version(risk.version, expected)
    present = {name: getattr(risk, name) for name in FIELDS}
    values = {**present, **changes}
    _check_people(session, user, values, present=present)
    changed = [name for name in FIELDS if values[name] != present[name]]
    if not changed:
        return risk
    now = datetime.now(UTC)
    for name in changed:
        setattr(risk, name, values[name])
        add_change(session, risk, user.id, Change(name, present[name], values[name]), at=now)
    touch(risk, at=now)
    session.flush()
    record_risk(session, Action.RISK_CHANGED, risk_id, user.id, fields=changed)
    return risk


def delete_risk(session: Session, user: User, risk_id: UUID) -> None:
    """Delete a risk with its notes and history; Forbidden as in `change_risk`."""
    changeable_risk(session, user, risk_id)
    queries.delete_risk(session, risk_id)
    record_risk(session, Action.RISK_DELETED, risk_id, user.id)


def add_note(session: Session, user: User, risk_id: UUID, text: str) -> RiskNote:
    """Add a note to a risk; everyone who sees the risk may."""
    get_risk(session, user.id, risk_id, lock=True)
    note = RiskNote(
        id=uuid_utils.compat.uuid7(),
        risk_id=risk_id,
        user_id=user.id,
        text=text,
        created_at=datetime.now(UTC),
    )
    session.add(note)
    record_risk(session, Action.RISK_NOTED, risk_id, user.id)
    session.flush()
    return note


def changeable_risk(session: Session, user: User, risk_id: UUID) -> Risk:
    """Return a risk that the user may change, locked until the transaction ends."""
    risk = get_risk(session, user.id, risk_id, lock=True)
    if not may_change(session, user, risk):
        raise Forbidden("Only its creator, its owner and reviewers of its team change this risk.")
    return risk


def may_change(session: Session, user: User, risk: Risk) -> bool:
    """Return whether a user who sees a risk may change it."""
    if user.id in {risk.user_id, risk.owner_id}:
        return True
    is_reviewer = may(user.role, Permission.REVIEW)
    return (
        is_reviewer and risk.team_id is not None and teams.is_member(session, risk.team_id, user.id)
    )


def add_change(
    session: Session, risk: Risk, user_id: UUID, change: Change, *, at: datetime
) -> None:
    """Add a field that changed to the history of a risk."""
    values = (None if value is None else str(value) for value in (change.before, change.after))
    before, after = values
    row = RiskChange(
        id=uuid_utils.compat.uuid7(),
        risk_id=risk.id,
        user_id=user_id,
        field=change.field,
        before=before,
        after=after,
        created_at=at,
    )
    session.add(row)


def touch(risk: Risk, *, at: datetime) -> None:
    """Give a risk its next version."""
    risk.version += 1
    risk.changed_at = at


def record_risk(
    session: Session, action: Action, risk_id: UUID, user_id: UUID, **detail: object
) -> None:
    """Record an action on a risk in the audit trail."""
    about = event(
        action, actor=Actor(user_id), object_type="risk", object_id=risk_id, detail=detail
    )
    record(session, about)


def _check_people(
    session: Session, user: User, values: Mapping[str, Any], *, present: Mapping[str, Any] | None
) -> None:
    """Raise InvalidRequest for a team or an owner that these values must not have.

    `present` are the values that the risk has now, which may stay.
    """
    team_id, owner_id = values["team_id"], values["owner_id"]
    faults = []
    is_new_team = present is None or present["team_id"] != team_id
    if is_new_team and team_id is not None and not _lock_own_team(session, team_id, user):
        faults.append(Fault("team_id", "You are in no team with this id."))
    is_new_owner = present is None or present["owner_id"] != owner_id
    if (is_new_owner or is_new_team) and not _may_own(session, user, owner_id, team_id):
        faults.append(
            Fault("owner_id", "The owner must be you, or a member of the team that sees the risk.")
        )
    if faults:
        raise InvalidRequest("; ".join(f.message for f in faults), faults=tuple(faults))


def _lock_own_team(session: Session, team_id: UUID, user: User) -> bool:
    """Lock the team to which the risk's row will refer; return whether the user is its member."""
    exists = teams.lock_team_against_deletion(session, team_id)
    return exists and teams.is_member(session, team_id, user.id)


def _may_own(session: Session, user: User, owner_id: UUID, team_id: UUID | None) -> bool:
    if owner_id == user.id:
        return True
    if team_id is None or not has_user(session, owner_id):
        return False
    return teams.is_member(session, team_id, owner_id)
