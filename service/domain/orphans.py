"""Orphans: rows whose owner no longer exists. Lists them, and removes them with an audit event."""

from __future__ import annotations

from sqlalchemy.orm import Session

from db.queries import orphans as queries
from service.domain.audit import Action, Actor, event, record


def remove_orphans(session: Session, *, actor: Actor) -> dict[str, int]:
    """Delete all orphans; return the number of rows by table."""
    removed = queries.remove_orphans(session)
    if removed:
        record(
            session,
            event(Action.ORPHANS_REMOVED, actor=actor, object_type="database", detail=removed),
        )
    return removed
