"""Teams, their members, and what is shared with them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db.queries.pages import Position, newest_first
from db.tables import (
    Document,
    DocumentShare,
    Scan,
    ScanShare,
    Team,
    TeamMember,
    User,
    WorkSession,
    WorkSessionShare,
)


class Shared(Enum):
    """What can be shared: its table, the table of its shares, and the column there that holds its id."""

    DOCUMENT = (Document, DocumentShare, "document_id")
    SCAN = (Scan, ScanShare, "scan_id")
    WORK_SESSION = (WorkSession, WorkSessionShare, "work_session_id")

    @property
    def table(self) -> Any:  # noqa: ANN401 - a class with id and user_id
        return self.value[0]

    @property
    def shares(self) -> Any:  # noqa: ANN401 - a class with the column and team_id
        return self.value[1]

    @property
    def column(self) -> Any:  # noqa: ANN401 - a column of `shares`
        return getattr(self.shares, self.value[2])


def add_team(session: Session, team: Team) -> None:
    """Insert a team.

    Raises:
        IntegrityError: another team has the same `name_key`.
    """
    session.add(team)
    session.flush()


def get_team(session: Session, team_id: UUID, *, lock: bool = False) -> Team | None:
    """Return a team; with `lock`, other changes of it wait until this transaction ends."""
    query = select(Team).where(Team.id == team_id)
    return session.scalar(query.with_for_update() if lock else query)


def lock_team_against_deletion(session: Session, team_id: UUID) -> bool:
    """Lock a team, so that nobody deletes it before this transaction ends; return whether it exists."""
    query = select(Team.id).where(Team.id == team_id)
    return session.scalar(query.with_for_update(read=True, key_share=True)) is not None


def team_by_key(session: Session, name_key: str) -> Team | None:
    """Return the team with this `name_key`."""
    return session.scalar(select(Team).where(Team.name_key == name_key))


def list_teams(
    session: Session,
    *,
    member_id: UUID | None = None,
    name_part: str = "",
    limit: int,
    after: Position | None = None,
) -> Sequence[Team]:
    """Return up to `limit` teams, newest first, past `after`; with `member_id` those of this user alone.

    `name_part` is part of the `name_key`.
    """
    query = select(Team)
    if member_id is not None:
        query = query.join(TeamMember, TeamMember.team_id == Team.id)
        query = query.where(TeamMember.user_id == member_id)
    if name_part:
        query = query.where(Team.name_key.contains(name_part, autoescape=True))
    return session.scalars(newest_first(query, Team, after=after).limit(limit)).all()


def count_members(session: Session, team_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the number of members of each team that has any."""
    query = select(TeamMember.team_id, func.count()).where(TeamMember.team_id.in_(team_ids))
    rows = session.execute(query.group_by(TeamMember.team_id))
    return {row.team_id: row[1] for row in rows}


def list_members(
    session: Session, team_id: UUID, *, limit: int, after: Position | None = None
) -> Sequence[User]:
    """Return up to `limit` members of a team, newest accounts first, past `after`."""
    query = select(User).join(TeamMember, TeamMember.user_id == User.id)
    query = newest_first(query.where(TeamMember.team_id == team_id), User, after=after)
    return session.scalars(query.limit(limit)).all()


def is_member(session: Session, team_id: UUID, user_id: UUID, *, lock: bool = False) -> bool:
    """Return whether a user is in a team; with `lock`, a removal waits until this transaction ends."""
    query = select(TeamMember).where(TeamMember.team_id == team_id, TeamMember.user_id == user_id)
    return session.scalar(query.with_for_update() if lock else query) is not None


def add_member(session: Session, team_id: UUID, user_id: UUID) -> None:
    """Add a user to a team.

    Raises:
        IntegrityError: the user is in the team already, or one of both is gone.
    """
    session.add(TeamMember(team_id=team_id, user_id=user_id))
    session.flush()


def remove_member(session: Session, team_id: UUID, user_id: UUID) -> bool:
    """Remove a user from a team, with what they share with it; return whether they were in it."""
    is_theirs = (TeamMember.team_id == team_id, TeamMember.user_id == user_id)
    connection = session.connection()
    if connection.execute(delete(TeamMember).where(*is_theirs)).rowcount == 0:
        return False
    for kind in Shared:
        owned = select(kind.table.id).where(kind.table.user_id == user_id)
        shares = (kind.shares.team_id == team_id, kind.column.in_(owned))
        connection.execute(delete(kind.shares).where(*shares))
    return True


def owned_id(session: Session, kind: Shared, object_id: UUID, user_id: UUID) -> UUID | None:
    """Return the id of a user's object; None if there is none."""
    table = kind.table
    return session.scalar(select(table.id).where(table.id == object_id, table.user_id == user_id))


def is_shared(session: Session, kind: Shared, object_id: UUID, team_id: UUID) -> bool:
    """Return whether an object is shared with a team."""
    query = select(kind.shares.team_id)
    query = query.where(kind.column == object_id, kind.shares.team_id == team_id)
    return session.scalar(query) is not None


def add_share(session: Session, kind: Shared, object_id: UUID, team_id: UUID) -> None:
    """Share an object with a team.

    Raises:
        IntegrityError: it is shared with the team already, or one of both is gone.
    """
    session.add(kind.shares(**{kind.column.key: object_id, "team_id": team_id}))
    session.flush()


def remove_share(session: Session, kind: Shared, object_id: UUID, team_id: UUID) -> bool:
    """End the sharing of an object with a team; return whether it was shared."""
    share = (kind.column == object_id, kind.shares.team_id == team_id)
    return session.connection().execute(delete(kind.shares).where(*share)).rowcount == 1


def list_shares(
    session: Session,
    kind: Shared,
    object_id: UUID,
    *,
    limit: int,
    after: Position | None = None,
) -> Sequence[Team]:
    """Return up to `limit` teams with which an object is shared, newest first, past `after`."""
    query = select(Team).join(kind.shares, kind.shares.team_id == Team.id)
    query = newest_first(query.where(kind.column == object_id), Team, after=after)
    return session.scalars(query.limit(limit)).all()
