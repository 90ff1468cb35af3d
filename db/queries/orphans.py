"""Counts and removes rows without an owner, in every table with a foreign key.

A database that enforces its foreign keys has no such rows. But MySQL 9.7 did not enforce the key of scans
before revision 0005, and a restored backup may be incomplete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Table, and_, delete, exists, func, select
from sqlalchemy.orm import Session

from db.tables import Base

_TABLES = Base.metadata.sorted_tables  # owners before the rows that they own
_SHOWN_IDS = 5


@dataclass(frozen=True, slots=True)
class Orphans:
    """`n` rows of `table` whose owner, a row of `owner`, is missing or an orphan itself.

    `column` holds the owner's id; `owner_ids` are some of the missing ids.
    """

    table: str
    n: int
    owner: str
    column: str
    owner_ids: Sequence[UUID]


def find_orphans(session: Session) -> Sequence[Orphans]:
    """Return the orphans of each table that has any, parents before children; reads each table whole."""
    orphans = []
    for table in _TABLES:
        n = session.scalar(select(func.count()).select_from(table).where(~_is_sound(table))) or 0
        if n:
            key = next(iter(table.foreign_keys))
            absent = ~exists().where(key.column == key.parent)
            ids = select(key.parent).where(absent).distinct().limit(_SHOWN_IDS)
            owner, column = key.column.table.name, key.parent.name
            orphans.append(Orphans(table.name, n, owner, column, session.scalars(ids).all()))
    return orphans


def remove_orphans(session: Session) -> dict[str, int]:
    """Delete the orphans; return the number of rows by table, parents before children."""
    removed = {
        table.name: session.connection().execute(delete(table).where(~_is_sound(table))).rowcount
        for table in reversed(_TABLES)
        if table.foreign_keys
    }
    return {name: n for name, n in reversed(removed.items()) if n}


def _is_sound(table: Table, row: FromClause | None = None) -> ColumnElement[bool]:
    """Return the condition that a row of `table` has an owner, and this owner its own."""
    row = table if row is None else row
    owned = []
    for key in table.foreign_keys:
        owner = key.column.table.alias()
        is_owner = owner.c[key.column.name] == row.c[key.parent.name]
        owned.append(exists().where(is_owner, _is_sound(key.column.table, owner)))
    return and_(True, *owned)
