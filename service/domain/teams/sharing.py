"""Use cases of sharing: owners share documents, scans and work sessions with teams of theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_duplicate
from db.queries import teams as queries
from db.queries.pages import Position
from db.queries.teams import Shared
from db.tables import Team
from service.domain.audit import Action, Actor, event, record
from service.domain.transactions import Transactions
from service.errors import NotFound

_NOUNS: Mapping[Shared, str] = {
    Shared.DOCUMENT: "document",
    Shared.SCAN: "scan",
    Shared.WORK_SESSION: "session",
}
_ACTIONS: Mapping[Shared, tuple[Action, Action]] = {
    Shared.DOCUMENT: (Action.DOCUMENT_SHARED, Action.DOCUMENT_UNSHARED),
    Shared.SCAN: (Action.SCAN_SHARED, Action.SCAN_UNSHARED),
    Shared.WORK_SESSION: (Action.WORK_SESSION_SHARED, Action.WORK_SESSION_UNSHARED),
}


def share(
    transactions: Transactions, user_id: UUID, kind: Shared, object_id: UUID, team_id: UUID
) -> None:
    """Share an object with a team; nothing changes if it is shared with the team.

    Raises:
        NotFound: the user owns no such object, or is not in the team.
    """
    try:
        transactions.run(_share, user_id, kind, object_id, team_id)
    except IntegrityError as error:
        if not is_duplicate(error):
            raise NotFound(f"The {_NOUNS[kind]} or the team was deleted meanwhile.") from error


def unshare(session: Session, user_id: UUID, kind: Shared, object_id: UUID, team_id: UUID) -> None:
    """End the sharing of the user's object with a team; NotFound if it is not shared."""
    _require_own(session, user_id, kind, object_id)
    if not queries.remove_share(session, kind, object_id, team_id):
        raise NotFound(f"This {_NOUNS[kind]} is not shared with this team.")
    _record(session, kind, object_id, team_id, user_id, is_shared=False)


def list_shares(
    session: Session,
    user_id: UUID,
    kind: Shared,
    object_id: UUID,
    *,
    limit: int,
    after: Position | None,
) -> Sequence[Team]:
    """Return up to `limit` teams with which the user shares an object; NotFound as in `share`."""
    _require_own(session, user_id, kind, object_id)
    return queries.list_shares(session, kind, object_id, limit=limit, after=after)


def _share(session: Session, user_id: UUID, kind: Shared, object_id: UUID, team_id: UUID) -> None:
    _require_own(session, user_id, kind, object_id)
    # The lock makes a removal from the team wait, which then ends this sharing too.
    if not queries.is_member(session, team_id, user_id, lock=True):
        raise NotFound("You are in no team with this id; GET /api/v1/teams lists yours.")
    if queries.is_shared(session, kind, object_id, team_id):
        return
    queries.add_share(session, kind, object_id, team_id)
    _record(session, kind, object_id, team_id, user_id, is_shared=True)


def _require_own(session: Session, user_id: UUID, kind: Shared, object_id: UUID) -> None:
    if queries.owned_id(session, kind, object_id, user_id) is None:
        raise NotFound(f"You have no {_NOUNS[kind]} with this id.")


def _record(
    session: Session,
    kind: Shared,
    object_id: UUID,
    team_id: UUID,
    user_id: UUID,
    *,
    is_shared: bool,
) -> None:
    shared, unshared = _ACTIONS[kind]
    action = shared if is_shared else unshared
    record(
        session,
        event(
            action,
            actor=Actor(user_id),
            object_type=action.partition(".")[0],
            object_id=object_id,
            detail={"team_id": str(team_id)},
        ),
    )
