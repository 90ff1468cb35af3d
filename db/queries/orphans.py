"""Counts and removes rows without an owner, in every table with a foreign key.

A database that enforces its foreign keys has no such rows. But MySQL 9.7 did not enforce the key of scans
before revision 0005, and a restored backup may be incomplete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    FromClause,
    Table,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Session

from db.tables import Base

_TABLES = Base.metadata.sorted_tables  # owners before the rows that they own
_SHOWN_IDS = 5


@dataclass(frozen=True, slots=True)
class Orphans:
    """`n` rows of `table` whose owner, a row of `owner`, is missing or an orphan itself.

    A table with two foreign keys has one entry for each. `column` holds the owner's id; `owner_ids` are
    some of the missing ids.
    """

    table: str
    n: int
    owner: str
    column: str
    owner_ids: Sequence[UUID]


def find_orphans(session: Session, *, tables: Sequence[Table] = _TABLES) -> Sequence[Orphans]:
    """Return the orphans by foreign key: parents before children, then by column.

    Reads each table whole. Foreign keys that no row violates are left out.
    """
    orphans = []
    for table, key in [(owned, key) for owned in tables for key in _foreign_keys(owned)]:
        is_orphan = ~_has_owner(key, table)
        n = session.scalar(select(func.count()).select_from(table).where(is_orphan)) or 0
        if n:
            absent = key.parent.is_not(None) & ~exists().where(key.column == key.parent)
            ids = select(key.parent).where(absent).distinct().limit(_SHOWN_IDS)
            owner, column = key.column.table.name, key.parent.name
            orphans.append(Orphans(table.name, n, owner, column, session.scalars(ids).all()))
    return orphans


def remove_orphans(session: Session, *, tables: Sequence[Table] = _TABLES) -> dict[str, int]:
    """Delete the orphans; return the number of rows by table, parents before children."""
    removed = {
        table.name: session.connection()
        .execute(delete(table).where(~_is_sound(table, table)))
        .rowcount
        for table in reversed(tables)
        if table.foreign_keys
    }
    return {name: n for name, n in reversed(removed.items()) if n}


def _foreign_keys(table: Table) -> list[ForeignKey]:
    return sorted(table.foreign_keys, key=lambda key: key.parent.name)


def _is_sound(table: Table, row: FromClause) -> ColumnElement[bool]:
    """Return the condition that a row of `table` has each of its owners, and they have theirs."""
    return and_(True, *(_has_owner(key, row) for key in _foreign_keys(table)))


def _has_owner(key: ForeignKey, row: FromClause) -> ColumnElement[bool]:
    owner = key.column.table.alias()
    is_owner = owner.c[key.column.name] == row.c[key.parent.name]
    has_owner = exists().where(is_owner, _is_sound(key.column.table, owner))
    # A row without a value in an optional foreign key needs no owner.
    return or_(row.c[key.parent.name].is_(None), has_owner) if key.parent.nullable else has_owner
