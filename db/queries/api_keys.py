"""API keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from db.queries.pages import Position, newest_first
from db.tables import ApiKey, User, UserSettings

# Every request with a key runs this query; building the statement costs more than running it.
_USER_BY_KEY = (
    select(User, ApiKey, UserSettings)
    .join(ApiKey, ApiKey.user_id == User.id)
    .outerjoin(UserSettings, UserSettings.user_id == User.id)
    .where(ApiKey.key_hash == bindparam("key_hash"), User.disabled_at.is_(None))
)


def add_key(session: Session, values: Mapping[str, Any]) -> ApiKey:
    """Insert a key from its values by attribute.

    Raises:
        IntegrityError: the account is gone.
    """
    key = ApiKey(**values)
    session.add(key)
    session.flush()
    return key


def user_by_key(session: Session, key_hash: str) -> tuple[User, ApiKey, UserSettings | None] | None:
    """Return the enabled account and the key of a sha256 (hex), and the settings if stored.

    An expired key is returned, too; None if it is unknown.
    """
    row = session.execute(_USER_BY_KEY, {"key_hash": key_hash}).one_or_none()
    return None if row is None else (row[0], row[1], row[2])


def mark_key_used(session: Session, key_id: UUID, now: datetime) -> None:
    """Store when a key was last used."""
    session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=now))


def get_key(session: Session, key_id: UUID, user_id: UUID) -> ApiKey | None:
    """Return a user's key; None for another user's."""
    return session.scalar(select(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == user_id))


def lock_key(session: Session, key_id: UUID, user_id: UUID) -> ApiKey | None:
    """Return a user's key as `get_key` does, and lock it until the transaction ends."""
    query = select(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == user_id)
    return session.scalar(query.with_for_update().execution_options(populate_existing=True))


def list_keys(
    session: Session, user_id: UUID, *, limit: int, after: Position | None = None
) -> Sequence[ApiKey]:
    """Return up to `limit` keys of a user after the position `after`, newest first."""
    query = select(ApiKey).where(ApiKey.user_id == user_id)
    return session.scalars(newest_first(query, ApiKey, after=after).limit(limit)).all()


def count_keys(session: Session, user_id: UUID) -> int:
    """Return how many keys a user has, expired ones included."""
    query = select(func.count()).select_from(ApiKey).where(ApiKey.user_id == user_id)
    return session.scalar(query) or 0


def delete_key(session: Session, key_id: UUID, user_id: UUID) -> bool:
    """Delete a user's key; return whether there was one."""
    one = delete(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == user_id)
    return session.connection().execute(one).rowcount == 1


def delete_user_keys(session: Session, user_id: UUID) -> int:
    """Delete every key of an account; return how many there were."""
    return session.connection().execute(delete(ApiKey).where(ApiKey.user_id == user_id)).rowcount
