"""Log-ins and their refresh tokens: each function works in its caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import users
from db.tables import Login
from service.domain.accounts.tokens import TokenMaker
from service.domain.audit import Action, Actor, account_event, record
from service.errors import NotFound
from service.observability.request_id import current_client_address


@dataclass(frozen=True, slots=True)
class TokenPair:
    """The tokens of a log-in; `expires_in_s` is the access token's life."""

    user_id: UUID
    access_token: str
    refresh_token: str
    expires_in_s: int


def begin(session: Session, tokens: TokenMaker, user_id: UUID, **detail: object) -> TokenPair:
    """Begin a log-in of an account and return its first tokens; `detail` goes to the audit event."""
    login = users.begin_login(session, user_id, client_address=current_client_address())
    record_own(session, Action.USER_LOGGED_IN, user_id, login_id=str(login.id), **detail)
    return _issue(session, tokens, user_id, login.id)


def refresh(session: Session, tokens: TokenMaker, token_hash: str) -> TokenPair | None:
    """Exchange the refresh token with this hash for a new pair; None if it is no longer valid.

    A token that was used before may have been stolen, so its whole log-in ends.

    Raises:
        IntegrityError: the account was deleted meanwhile.
    """
    now = datetime.now(UTC)
    outcome, login = users.redeem_refresh_token(session, token_hash, now)
    if login is None:
        return None
    if outcome == "reused":
        users.revoke_login(session, login.id, "refresh token reused")
        record_own(session, Action.TOKEN_REUSED, login.user_id, login_id=str(login.id))
    if outcome != "ok":
        return None
    users.mark_login_used(session, login.id, now)
    return _issue(session, tokens, login.user_id, login.id)


def extend(session: Session, tokens: TokenMaker, user_id: UUID, login_id: UUID) -> None:
    """Let a browser's log-in last as long again as a new one.

    Raises:
        IntegrityError: the log-in was deleted meanwhile.
    """
    _issue(session, tokens, user_id, login_id)


def end(session: Session, user_id: UUID, login_id: UUID) -> None:
    """End one log-in of an account; do nothing if it has ended already.

    Its refresh tokens and its access tokens stop working at once.

    Raises:
        NotFound: the account never had it.
    """
    login = session.get(Login, login_id)
    if login is None or login.user_id != user_id:
        raise NotFound("You have no log-in with this id; GET /api/v1/auth/logins lists yours.")
    if users.revoke_login(session, login_id, "logged out"):
        record_own(session, Action.USER_LOGGED_OUT, user_id, login_id=str(login_id))


def end_all(session: Session, user_id: UUID) -> None:
    """End every log-in of an account."""
    n_ended = users.revoke_user_logins(session, user_id, "logged out everywhere")
    if n_ended:
        record_own(session, Action.USER_LOGGED_OUT, user_id, n_logins=n_ended)


def record_own(session: Session, action: Action, user_id: UUID, **detail: object) -> None:
    """Record an action of the owner on the account."""
    record(session, account_event(action, user_id, actor=Actor(user_id), **detail))


def _issue(session: Session, tokens: TokenMaker, user_id: UUID, login_id: UUID) -> TokenPair:
    refresh_token = tokens.refresh_token()
    users.add_refresh_token(
        session,
        login_id,
        token_hash=tokens.refresh_token_hash(refresh_token),
        expires_at=datetime.now(UTC) + tokens.refresh_life,
    )
    access_token = tokens.access_token(user_id, login_id)
    life_s = int(tokens.access_life.total_seconds())
    return TokenPair(user_id, access_token, refresh_token, life_s)
