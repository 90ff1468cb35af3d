"""The base class of all tables, and the names of their constraints.

There are no relationships: each query names what it reads, so no loop loads rows one by one unnoticed.
CHECKs are at table level, since MariaDB refuses a named one inside a column.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

_NAMES = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=_NAMES)


def one_of(column: str, vocabulary: type[StrEnum]) -> str:
    """Return the SQL of a CHECK that `column` holds a value of `vocabulary`."""
    values = ", ".join(f"'{value}'" for value in vocabulary)
    return f"{column} IN ({values})"
