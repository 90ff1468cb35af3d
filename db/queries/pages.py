"""Keyset pagination: rows newest first, page after page, whatever is inserted meanwhile."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Select, or_

from db.tables import AuditEvent, Feedback, Login, Scan

Position = tuple[datetime, UUID]
"""The created_at and id of the last row of a page."""
Listed = type[AuditEvent] | type[Feedback] | type[Login] | type[Scan]
"""The tables whose rows are listed by created_at."""
Q = TypeVar("Q", bound=Select[Any])


def newest_first(query: Q, table: Listed, *, after: Position | None = None) -> Q:
    """Return `query` ordered newest first (created_at, then id), past the position `after` if given."""
    if after is not None:
        created_at, row_id = after
        # Equal to the textbook's single OR, but the database reads only the index range below the position.
        query = query.where(
            table.created_at <= created_at, or_(table.created_at < created_at, table.id < row_id)
        )
    return query.order_by(table.created_at.desc(), table.id.desc())
