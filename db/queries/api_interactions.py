"""Outgoing calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from db.queries.filters import conditions
from db.queries.pages import Position, newest_first
from db.tables import ApiInteraction, Base

_EQUAL = ("kind", "host", "status", "error_code", "scan_id")
_INTERACTIONS = Base.metadata.tables[ApiInteraction.__tablename__]


@dataclass(frozen=True, slots=True)
class InteractionFilter:
    """Filters for the list of calls; a field that is None does not filter.

    `failed` selects the calls with an error code, or those without. `created_from` is inclusive,
    `created_before` exclusive.
    """

    kind: str | None = None
    host: str | None = None
    status: int | None = None
    error_code: str | None = None
    scan_id: UUID | None = None
    failed: bool | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None


def add_interactions(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert calls from their values by attribute unless they are stored already."""
    ids = [row["id"] for row in rows]
    stored = set(session.scalars(select(ApiInteraction.id).where(ApiInteraction.id.in_(ids))))
    if new := [dict(row) for row in rows if row["id"] not in stored]:
        session.execute(insert(_INTERACTIONS), new)


def list_interactions(
    session: Session, filters: InteractionFilter, *, limit: int, after: Position | None = None
) -> Sequence[ApiInteraction]:
    """Return up to `limit` calls after the position `after`, newest first (created_at, then id)."""
    query = select(ApiInteraction).where(*conditions(ApiInteraction, filters, *_EQUAL))
    if filters.failed is not None:
        has_error = ApiInteraction.error_code.is_not(None)
        query = query.where(has_error if filters.failed else ~has_error)
    return session.scalars(newest_first(query, ApiInteraction, after=after).limit(limit)).all()


def delete_old_interactions(session: Session, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` calls that began before a time; return how many."""
    old = select(ApiInteraction.id).where(ApiInteraction.created_at < before)
    ids = session.scalars(old.order_by(ApiInteraction.created_at).limit(limit)).all()
    if not ids:
        return 0
    removal = delete(ApiInteraction).where(ApiInteraction.id.in_(ids))
    return session.connection().execute(removal).rowcount
