"""The time of the database's server."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

_NOW = {
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "mariadb": "SELECT UTC_TIMESTAMP(6)",
    "postgresql": "SELECT timezone('utc', clock_timestamp())",
}


def server_time(session: Session) -> datetime | None:
    """Return the time of the server's own clock; None for SQLite, which has none."""
    statement = _NOW.get(session.get_bind().dialect.name)
    now: datetime | None = session.scalar(text(statement)) if statement else None
    return None if now is None else now.replace(tzinfo=UTC)
