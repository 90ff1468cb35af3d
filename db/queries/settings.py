"""Settings that users choose for themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.tables import UserSettings


def put_settings(session: Session, user_id: UUID, values: Mapping[str, Any]) -> None:
    """Store a user's settings; the caller has locked the account."""
    session.merge(UserSettings(user_id=user_id, **values))
    session.flush()


def get_settings(session: Session, user_id: UUID) -> UserSettings | None:
    """Return a user's stored settings; None if the user has the defaults."""
    return session.get(UserSettings, user_id)


def list_retentions(session: Session) -> Sequence[tuple[UUID, int]]:
    """Return each user with a retention, and its number of days."""
    query = select(UserSettings.user_id, UserSettings.retention_days)
    rows = session.execute(query.where(UserSettings.retention_days.is_not(None)))
    return [(user_id, days) for user_id, days in rows if days is not None]
