"""Accounts, log-ins and refresh tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import ColumnElement, and_, bindparam, delete, exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_duplicate
from db.queries.pages import Position, newest_first
from db.tables import (
    NO_PASSWORD,
    SSO_ONLY,
    AccountState,
    Login,
    RefreshToken,
    Role,
    User,
    UserSettings,
)

# Every request runs this query; building the statement each time took half of its processor time.
_USER_BY_LOGIN = (
    select(User, Login.last_used_at, UserSettings)
    .join(Login, Login.user_id == User.id)
    .outerjoin(UserSettings, UserSettings.user_id == User.id)
    .where(
        User.id == bindparam("user_id"),
        User.disabled_at.is_(None),
        Login.id == bindparam("login_id"),
        Login.revoked_at.is_(None),
    )
)

TokenOutcome = Literal["ok", "unknown", "expired", "revoked", "reused"]


class EmailTaken(Exception):
    """The address has an account already; the transaction cannot continue."""


def add_user(
    session: Session,
    *,
    email: str,
    password_hash: str,
    role: Role = Role.USER,
) -> User:
    """Insert an account; the caller has lower-cased `email`.

    Raises:
        EmailTaken: another account has the address.
    """
    user = User(
        id=uuid_utils.compat.uuid7(),
        email=email,
        password_hash=password_hash,
        role=role,
        created_at=(now := datetime.now(UTC)),
        updated_at=now,
    )
    session.add(user)
    try:
        session.flush()
    except IntegrityError as error:
        if is_duplicate(error):
            raise EmailTaken(email) from error
        raise
    return user


def user_by_email(session: Session, email: str) -> User | None:
    """Return the account of a lower-cased address, disabled ones included."""
    return session.scalar(select(User).where(User.email == email))


def has_user(session: Session, user_id: UUID) -> bool:
    """Return whether an account has this id, disabled ones included."""
    return bool(session.scalar(select(exists().where(User.id == user_id))))


def lock_user(session: Session, user_id: UUID) -> User | None:
    """Return the account and lock it until the transaction ends."""
    return session.get(User, user_id, with_for_update=True, populate_existing=True)


def list_users(session: Session) -> Sequence[User]:
    """Return all accounts ordered by address, disabled ones included."""
    return session.scalars(select(User).order_by(User.email)).all()


def search_users(
    session: Session,
    *,
    limit: int,
    after: Position | None = None,
    email: str | None = None,
    role: Role | None = None,
    state: AccountState | None = None,
) -> Sequence[User]:
    """Return up to `limit` accounts, newest first, past `after`; `email` is part of the address."""
    query = newest_first(select(User), User, after=after)
    if email:
        query = query.where(User.email.contains(email, autoescape=True))
    if role:
        query = query.where(User.role == role)
    if state:
        query = query.where(_has_state(state))
    return session.scalars(query.limit(limit)).all()


def lock_enabled_admins(session: Session) -> Sequence[UUID]:
    """Return the ids of all enabled administrators and lock their rows until the transaction ends."""
    enabled = select(User.id).where(User.role == Role.ADMIN, User.disabled_at.is_(None))
    return session.scalars(enabled.order_by(User.id).with_for_update()).all()


def delete_user(session: Session, user_id: UUID) -> None:
    """Delete an account, and with it every row of which it is the owner."""
    session.execute(delete(User).where(User.id == user_id))


def set_password_hash(session: Session, user_id: UUID, password_hash: str) -> None:
    """Store a new password hash; do nothing if the account is gone."""
    session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))


def begin_login(session: Session, user_id: UUID, *, client_address: str | None = None) -> Login:
    """Insert a log-in from an address of at most 64 characters.

    Raises:
        IntegrityError: the account is gone.
    """
    now = datetime.now(UTC)
    login = Login(
        id=uuid_utils.compat.uuid7(),
        user_id=user_id,
        created_at=now,
        last_used_at=now,
        client_address=client_address,
    )
    session.add(login)
    session.flush()
    return login


def user_by_login(
    session: Session, user_id: UUID, login_id: UUID
) -> tuple[User, datetime | None, UserSettings | None] | None:
    """Return the account, the log-in's last use, and the settings if stored; None if either has ended."""
    row = session.execute(_USER_BY_LOGIN, {"user_id": user_id, "login_id": login_id}).one_or_none()
    return None if row is None else (row[0], row[1], row[2])


def mark_login_used(session: Session, login_id: UUID, now: datetime) -> None:
    """Store when a log-in was last used."""
    session.execute(update(Login).where(Login.id == login_id).values(last_used_at=now))


def has_login_from(session: Session, user_id: UUID, client_address: str | None) -> bool:
    """Return whether somebody has logged in to the account from an address."""
    query = exists().where(Login.user_id == user_id, Login.client_address == client_address)
    return client_address is not None and bool(session.scalar(select(query)))


def ipv6_login_addresses(session: Session, user_id: UUID) -> Sequence[str]:
    """Return the different IPv6 addresses from which somebody has logged in to the account."""
    query = select(Login.client_address).distinct()
    found = session.scalars(
        query.where(Login.user_id == user_id, Login.client_address.contains(":"))
    )
    return [address for address in found if address is not None]


def live_logins(
    session: Session, user_id: UUID, *, limit: int, after: Position | None = None
) -> Sequence[Login]:
    """Return up to `limit` usable log-ins after the position `after`, newest first."""
    has_token = exists().where(
        RefreshToken.login_id == Login.id,
        RefreshToken.used_at.is_(None),
        RefreshToken.expires_at > datetime.now(UTC),
    )
    query = select(Login).where(Login.user_id == user_id, Login.revoked_at.is_(None), has_token)
    return session.scalars(newest_first(query, Login, after=after).limit(limit)).all()


def revoke_login(session: Session, login_id: UUID, reason: str) -> bool:
    """End a log-in and its tokens; return whether it was live.

    The first `reason`, of at most 64 characters, is kept.
    """
    return _revoke(session, Login.id == login_id, reason) == 1


def revoke_user_logins(
    session: Session, user_id: UUID, reason: str, *, except_login_id: UUID | None = None
) -> int:
    """End every log-in of an account except `except_login_id`; return how many were live."""
    others = [] if except_login_id is None else [Login.id != except_login_id]
    return _revoke(session, and_(Login.user_id == user_id, *others), reason)


def add_refresh_token(
    session: Session, login_id: UUID, *, token_hash: str, expires_at: datetime
) -> RefreshToken:
    """Insert a refresh token by the sha256 (hex) of its value.

    Raises:
        IntegrityError: the log-in is gone, or the hash is stored already.
    """
    token = RefreshToken(
        id=uuid_utils.compat.uuid7(),
        login_id=login_id,
        token_hash=token_hash,
        created_at=datetime.now(UTC),
        expires_at=expires_at,
    )
    session.add(token)
    session.flush()
    return token


def redeem_refresh_token(
    session: Session, token_hash: str, now: datetime
) -> tuple[TokenOutcome, Login | None]:
    """Use up a refresh token; exactly one of concurrent callers gets "ok".

    Also returns its log-in, or None if the token is "unknown". A disabled account's tokens are "revoked".
    """
    row = session.execute(
        select(RefreshToken, Login, User.disabled_at)
        .join(Login, Login.id == RefreshToken.login_id)
        .join(User, User.id == Login.user_id)
        .where(RefreshToken.token_hash == token_hash)
    ).one_or_none()
    if row is None:
        return "unknown", None
    token, login, disabled_at = row
    if login.revoked_at is not None or disabled_at is not None:
        return "revoked", login
    if token.used_at is not None:
        return "reused", login
    if token.expires_at <= now:
        return "expired", login
    return ("ok" if _mark_used(session, token.id, now) else "reused"), login


def _mark_used(session: Session, token_id: UUID, now: datetime) -> bool:
    # The database checks the condition again under the row's lock: the loser of a race changes no row.
    mark = (
        update(RefreshToken)
        .where(RefreshToken.id == token_id, RefreshToken.used_at.is_(None))
        .values(used_at=now)
    )
    return session.connection().execute(mark).rowcount == 1


def _revoke(session: Session, which: ColumnElement[bool], reason: str) -> int:
    revocation = (
        update(Login)
        .where(which, Login.revoked_at.is_(None))
        .values(revoked_at=datetime.now(UTC), revoked_reason=reason)
    )
    return session.connection().execute(revocation).rowcount


def _has_state(state: AccountState) -> ColumnElement[bool]:
    if state == AccountState.DISABLED:
        return User.disabled_at.is_not(None)
    without_password = {AccountState.INVITED: NO_PASSWORD, AccountState.SSO: SSO_ONLY}
    has_hash = (
        User.password_hash == without_password[state]
        if state in without_password
        else User.password_hash.not_in(without_password.values())
    )
    return User.disabled_at.is_(None) & has_hash
