"""Conditions that the lists of audit events and of outgoing calls share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar, Protocol

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute


class Period(Protocol):
    """A filter with a period; `created_from` is inclusive, `created_before` exclusive, None open."""

    @property
    def created_from(self) -> datetime | None: ...

    @property
    def created_before(self) -> datetime | None: ...


class Created(Protocol):
    """A table whose rows have a time."""

    created_at: ClassVar[InstrumentedAttribute[datetime]]


def conditions(
    table: type[Created], filters: Period, *columns: str
) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of `filters` on `columns` and on the time; a field that is None has none."""
    for name in columns:
        value: Any = getattr(filters, name)
        if value is not None:
            yield getattr(table, name) == value
    if filters.created_from is not None:
        yield table.created_at >= filters.created_from
    if filters.created_before is not None:
        yield table.created_at < filters.created_before
