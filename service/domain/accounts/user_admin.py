"""Use cases of administration: find accounts, change roles, disable, enable, delete, reset passwords.

Each function works in its caller's transaction. A change is recorded as an audit event that names the actor.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import email_validator
from sqlalchemy.orm import Session

from db.queries import api_keys, users
from db.tables import Role, User
from service.domain.audit import Action, Actor, account_event, record
from service.domain.email_addresses import normalized
from service.domain.versions import Expected, check_version, state_version
from service.errors import Conflict, NotFound


def get_user(session: Session, user_id: UUID) -> User:
    """Return an account; NotFound if no account has the id."""
    user = session.get(User, user_id)
    if user is None:
        raise _not_found()
    return user


def version(user: User) -> int:
    """Return a number that differs after `change`."""
    return state_version(user.role, user.disabled_at is None)


def id_of(session: Session, email: str) -> UUID:
    """Return the id of the account with an address; NotFound if there is none."""
    try:
        user = users.user_by_email(session, normalized(email))
    except email_validator.EmailNotValidError:
        user = None
    if user is None:
        raise NotFound(
            f"No account has the address {email}; `python -m service users list` shows them."
        )
    return user.id


def change(
    session: Session,
    user_id: UUID,
    *,
    role: Role | None = None,
    is_disabled: bool | None = None,
    actor: Actor,
    expected: Expected = None,
) -> User:
    """Change an account's role, disable or enable it; what is None stays.

    Raises:
        NotFound: no account has the id.
        Conflict: it is the last enabled administrator.
        PreconditionFailed: the account has none of the versions expected.
    """
    if expected is not None:
        users.lock_enabled_admins(session)  # in the order of _locked_unless_last_admin
        check_version(version(_locked(session, user_id)), expected)
    if role is not None:
        set_role(session, user_id, role, actor=actor)
    if is_disabled is not None:
        (disable if is_disabled else enable)(session, user_id, actor=actor)
    session.flush()
    return get_user(session, user_id)


def set_role(session: Session, user_id: UUID, role: Role, *, actor: Actor) -> User:
    """Give the account a role; its log-ins stay valid, with the new role.

    Raises:
        NotFound: no account has the id.
        Conflict: it is the last enabled administrator.
    """
    user = (
        _locked(session, user_id)
        if role == Role.ADMIN
        else _locked_unless_last_admin(session, user_id)
    )
    if user.role != role:
        _record(session, Action.USER_ROLE_CHANGED, user, actor, before=user.role, after=role)
        user.role = role
    return user


def disable(session: Session, user_id: UUID, *, actor: Actor) -> User:
    """Disable the account, end its log-ins and delete its keys: all stop working at once.

    Raises:
        NotFound: no account has the id.
        Conflict: it is the last enabled administrator.
    """
    user = _locked_unless_last_admin(session, user_id)
    if user.disabled_at is None:
        user.disabled_at = datetime.now(UTC)
        n = users.revoke_user_logins(session, user.id, "disabled")
        n_keys = api_keys.delete_user_keys(session, user.id)
        _record(session, Action.USER_DISABLED, user, actor, n_logins=n, n_keys=n_keys)
    return user


def enable(session: Session, user_id: UUID, *, actor: Actor) -> User:
    """Let the account log in again; its earlier log-ins and keys stay ended.

    Raises:
        NotFound: no account has the id.
    """
    user = _locked(session, user_id)
    if user.disabled_at is not None:
        user.disabled_at = None
        _record(session, Action.USER_ENABLED, user, actor)
    return user


def delete(session: Session, user_id: UUID, *, actor: Actor) -> User:
    """Delete the account's row and all rows that belong to it; its files' bytes are the caller's.

    Raises:
        NotFound: no account has the id.
        Conflict: it is the last enabled administrator.
    """
    user = _locked_unless_last_admin(session, user_id)
    session.expunge(user)
    users.delete_user(session, user.id)
    _record(session, Action.USER_DELETED, user, actor)
    return user


def store_password(session: Session, user_id: UUID, password_hash: str, *, actor: Actor) -> User:
    """Store a new password hash, end every log-in of the account and delete its keys.

    Raises:
        NotFound: no account has the id.
    """
    user = _locked(session, user_id)
    user.password_hash = password_hash
    n = users.revoke_user_logins(session, user.id, "password reset")
    n_keys = api_keys.delete_user_keys(session, user.id)
    _record(session, Action.PASSWORD_RESET, user, actor, n_logins=n, n_keys=n_keys)
    return user


def _locked_unless_last_admin(session: Session, user_id: UUID) -> User:
    # Lock before the account, so that two administrators cannot each take one of the last two.
    admins = users.lock_enabled_admins(session)
    user = _locked(session, user_id)
    if list(admins) == [user.id]:
        raise Conflict(
            f"{user.email} is the last enabled administrator. Appoint another one first: "
            "`python -m service users set-role EMAIL admin`."
        )
    return user


def _locked(session: Session, user_id: UUID) -> User:
    locked = users.lock_user(session, user_id)
    if locked is None:
        raise _not_found()
    return locked


def _not_found() -> NotFound:
    return NotFound("No account has this id; GET /api/v1/users lists all.")


def _record(session: Session, action: Action, user: User, actor: Actor, **detail: object) -> None:
    record(session, account_event(action, user.id, actor=actor, **detail))
