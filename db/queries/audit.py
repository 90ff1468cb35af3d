"""The audit trail: appended to, read, never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from db import commit_markers
from db.queries.pages import Position, newest_first
from db.tables import AuditEvent, Base

_EVENTS = Base.metadata.tables[AuditEvent.__tablename__]
_INSERT = insert(_EVENTS)


@dataclass(frozen=True, slots=True)
class Event:
    """An event to record; `detail` is JSON without secrets or document text."""

    action: str
    user_id: UUID | None
    object_type: str
    object_id: str | None
    request_id: str | None
    detail: Mapping[str, Any]


def add_events(session: Session, events: Sequence[Event]) -> None:
    """Insert one event or more with the current time; the last becomes the transaction's commit marker."""
    now = datetime.now(UTC)
    rows = [
        {
            "id": uuid_utils.compat.uuid7(),
            "created_at": now,
            "action": event.action,
            "user_id": event.user_id,
            "object_type": event.object_type,
            "object_id": event.object_id,
            "request_id": event.request_id,
            "detail": dict(event.detail),
        }
        for event in events
    ]
    session.connection().execute(_INSERT, rows)
    commit_markers.set_marker(session, _EVENTS, rows[-1])


def list_events(
    session: Session, *, limit: int, after: Position | None = None
) -> Sequence[AuditEvent]:
    """Return up to `limit` events, newest first (created_at, then id), past the position `after`."""
    query = newest_first(select(AuditEvent), AuditEvent, after=after)
    return session.scalars(query.limit(limit)).all()
