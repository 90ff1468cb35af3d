"""The audit trail: appended to, read, never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import insert, or_, select
from sqlalchemy.orm import Session

from db.models import AuditEvent, Base

_INSERT = insert(Base.metadata.tables[AuditEvent.__tablename__])


def add_event(
    session: Session,
    *,
    action: str,
    user_id: UUID | None,
    object_type: str,
    object_id: str | None,
    request_id: str | None,
    detail: Mapping[str, Any],
) -> None:
    """Insert an event that happened now; `detail` is JSON without secrets and document text."""
    event = {
        "id": uuid_utils.compat.uuid7(),
        "created_at": datetime.now(UTC),
        "action": action,
        "user_id": user_id,
        "object_type": object_type,
        "object_id": object_id,
        "request_id": request_id,
        "detail": dict(detail),
    }
    session.execute(_INSERT, event)


def list_events(
    session: Session, *, limit: int, after: tuple[datetime, UUID] | None = None
) -> Sequence[AuditEvent]:
    """Return up to `limit` events, newest first (created_at, then id), past the position `after`."""
    query = select(AuditEvent).order_by(AuditEvent.created_at.desc(), AuditEvent.id.desc())
    if after is not None:
        created_at, event_id = after
        query = query.where(
            AuditEvent.created_at <= created_at,
            or_(AuditEvent.created_at < created_at, AuditEvent.id < event_id),
        )
    return session.scalars(query.limit(limit)).all()
