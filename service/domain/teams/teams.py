"""Use cases of teams: create, rename, delete, and change who is in them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_duplicate
from db.queries import teams as queries
from db.queries.pages import Position
from db.queries.users import has_user
from db.tables import Team, User
from service.domain.audit import Action, Actor, event, record
from service.domain.transactions import Transactions
from service.domain.versions import Expected, check_version, state_version
from service.errors import Conflict, Fault, InvalidRequest, NotFound

P = ParamSpec("P")
T = TypeVar("T")
MAX_TEAMS = 10_000
"""Teams of one account."""
MAX_NAME_CHARS = 100
_NO_TEAM = "There is no team with this id."


@dataclass(frozen=True, slots=True)
class TeamView:
    """A team and the number of its members."""

    team: Team
    n_members: int = 0

    @property
    def version(self) -> int:
        """Differs after a change of its name."""
        return state_version(self.team.name)

    @property
    def id(self) -> UUID:
        """The team's."""
        return self.team.id

    @property
    def created_at(self) -> datetime:
        """The team's."""
        return self.team.created_at


class Teams:
    """Changes of teams; each method raises NotFound if there is no such team or account."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def create(self, name: str, *, actor: Actor) -> Team:
        """Create a team without members; Conflict if another one has the name in any case."""
        return self._named(_create, _checked(name), actor)

    def rename(
        self, team_id: UUID, name: str, *, actor: Actor, expected: Expected = None
    ) -> TeamView:
        """Change the name of a team.

        Raises:
            Conflict: as in `create`.
            PreconditionFailed: it has none of the versions expected.
        """
        return self._named(_rename, _checked(name), actor, team_id, expected)

    def delete(self, team_id: UUID, *, actor: Actor) -> None:
        """Delete a team; its members lose what was shared with it at once."""
        self._transactions.run(_delete, team_id, actor)

    def add_member(self, team_id: UUID, user_id: UUID, *, actor: Actor) -> None:
        """Add an account to a team; nothing changes if it is a member."""
        try:
            self._transactions.run(_add_member, team_id, user_id, actor)
        except IntegrityError as error:
            if not is_duplicate(error):
                raise NotFound("The team or the account was deleted meanwhile.") from error

    def remove_member(self, team_id: UUID, user_id: UUID, *, actor: Actor) -> None:
        """Remove an account from a team, with all that it shares with the team."""
        self._transactions.run(_remove_member, team_id, user_id, actor)

    def _named(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            return self._transactions.run(work, *args, **kwargs)
        except IntegrityError as error:
            if is_duplicate(error):
                raise Conflict("Another team has this name, perhaps in another case.") from error
            raise


def list_teams(
    session: Session,
    *,
    member_id: UUID | None,
    search: str,
    limit: int,
    after: Position | None,
) -> list[TeamView]:
    """Return up to `limit` teams with `search` in their name, newest first, past the position `after`.

    With `member_id`, those of this user alone.
    """
    part = name_key(search)
    teams = queries.list_teams(
        session, member_id=member_id, name_part=part, limit=limit, after=after
    )
    n_members = queries.count_members(session, [team.id for team in teams])
    return [TeamView(team, n_members.get(team.id, 0)) for team in teams]


def get_team(session: Session, team_id: UUID) -> TeamView:
    """Return a team; NotFound if there is none with this id."""
    return _view(session, _require(session, team_id))


def team_named(session: Session, name: str) -> Team:
    """Return a team by its name in any case; NotFound if there is none."""
    team = queries.team_by_key(session, name_key(name))
    if team is None:
        raise NotFound(f"There is no team {name!r}; `python -m service teams list` lists all.")
    return team


def set_teams(session: Session, user_id: UUID, names: Sequence[str], actor: Actor) -> None:
    """Make an account a member of the teams with these names, in any case, and of no other.

    Names without a team are ignored.
    """
    found = (queries.team_by_key(session, name_key(name)) for name in names)
    wanted = {team.id for team in found if team is not None}
    present = {team.id for team in queries.list_teams(session, member_id=user_id, limit=MAX_TEAMS)}
    for team_id in sorted(present - wanted):
        _remove_member(session, team_id, user_id, actor)
    for team_id in sorted(wanted - present):
        _add_member(session, team_id, user_id, actor)


def list_members(
    session: Session, team_id: UUID, *, limit: int, after: Position | None
) -> Sequence[User]:
    """Return up to `limit` members of a team, newest accounts first; NotFound as in `get_team`."""
    _require(session, team_id)
    return queries.list_members(session, team_id, limit=limit, after=after)


def name_key(name: str) -> str:
    """Return a name as it is compared: composed, with single spaces, and without regard to case."""
    return unicodedata.normalize("NFC", " ".join(name.split()).casefold())


def _checked(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME_CHARS:
        message = f"A name has 1 to {MAX_NAME_CHARS} characters."
        raise InvalidRequest(message, faults=(Fault("name", message),))
    return name


def _create(session: Session, name: str, actor: Actor) -> Team:
    team = Team(
        id=uuid_utils.compat.uuid7(),
        name=name,
        name_key=name_key(name),
        created_at=datetime.now(UTC),
    )
    queries.add_team(session, team)
    _record(session, Action.TEAM_CREATED, team.id, actor, name=name)
    return team


def _rename(
    session: Session, name: str, actor: Actor, team_id: UUID, expected: Expected
) -> TeamView:
    team = _require(session, team_id, lock=True)
    check_version(TeamView(team).version, expected)
    before, team.name, team.name_key = team.name, name, name_key(name)
    session.flush()
    _record(session, Action.TEAM_RENAMED, team_id, actor, name=name, before=before)
    return _view(session, team)


def _delete(session: Session, team_id: UUID, actor: Actor) -> None:
    team = _require(session, team_id, lock=True)
    n_members = _view(session, team).n_members
    session.delete(team)
    _record(session, Action.TEAM_DELETED, team_id, actor, name=team.name, n_members=n_members)


def _add_member(session: Session, team_id: UUID, user_id: UUID, actor: Actor) -> None:
    _require(session, team_id)
    if not has_user(session, user_id):
        raise NotFound("There is no account with this id.")
    if queries.is_member(session, team_id, user_id):
        return
    queries.add_member(session, team_id, user_id)
    _record(session, Action.TEAM_MEMBER_ADDED, team_id, actor, user_id=str(user_id))


def _remove_member(session: Session, team_id: UUID, user_id: UUID, actor: Actor) -> None:
    if not queries.remove_member(session, team_id, user_id):
        raise NotFound("This account is not in this team.")
    _record(session, Action.TEAM_MEMBER_REMOVED, team_id, actor, user_id=str(user_id))


def _require(session: Session, team_id: UUID, *, lock: bool = False) -> Team:
    team = queries.get_team(session, team_id, lock=lock)
    if team is None:
        raise NotFound(_NO_TEAM)
    return team


def _view(session: Session, team: Team) -> TeamView:
    return TeamView(team, queries.count_members(session, [team.id]).get(team.id, 0))


def _record(
    session: Session, action: Action, team_id: UUID, actor: Actor, **detail: object
) -> None:
    record(
        session, event(action, actor=actor, object_type="team", object_id=team_id, detail=detail)
    )
