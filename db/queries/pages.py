"""Keyset pagination: rows newest first, page after page, whatever is inserted meanwhile."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import Select, or_
from sqlalchemy.orm import InstrumentedAttribute

Position = tuple[datetime, UUID]
"""The created_at and id of the last row of a page."""
Q = TypeVar("Q", bound=Select[Any])


class Listed(Protocol):
    """A table whose rows are listed by created_at."""

    id: ClassVar[InstrumentedAttribute[UUID]]
    created_at: ClassVar[InstrumentedAttribute[datetime]]


def newest_first(query: Q, table: type[Listed], *, after: Position | None = None) -> Q:
    """Return `query` ordered newest first (created_at, then id), past the position `after` if given."""
    if after is not None:
        created_at, row_id = after
        # Equal to the textbook's single OR, but the database reads only the index range below the position.
        query = query.where(
            table.created_at <= created_at, or_(table.created_at < created_at, table.id < row_id)
        )
    return query.order_by(table.created_at.desc(), table.id.desc())
