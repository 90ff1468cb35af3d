"""Rows in a form that every kind of database reads and writes, exact to the last digit.

A value becomes JSON: ids as hex, times with microseconds and dates as ISO 8601, bytes in base64, JSON as its
text.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    Double,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    cast,
    insert,
    select,
    type_coerce,
)
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeEngine

from db.column_types import UtcDateTime, row_id

_ROWS_AT_ONCE = 100


class Kind(StrEnum):
    """How the values of a column are written. Archives contain these names: change none."""

    UUID = "uuid"
    TIME = "time"
    DATE = "date"
    BOOL = "bool"
    BYTES = "bytes"
    JSON = "json"
    INT = "int"
    FLOAT = "float"
    TEXT = "text"


# In this order: a Boolean column is no Integer, but Double is a Float, and Text is a String.
_KINDS: Sequence[tuple[type[TypeEngine[Any]], Kind]] = (
    (UtcDateTime, Kind.TIME),
    (Date, Kind.DATE),
    (Uuid, Kind.UUID),
    (Boolean, Kind.BOOL),
    (LargeBinary, Kind.BYTES),
    (JSON, Kind.JSON),
    (Integer, Kind.INT),
    (Float, Kind.FLOAT),
    (String, Kind.TEXT),
)
_TYPES: Mapping[Kind, TypeEngine[Any]] = {
    Kind.UUID: row_id(),
    Kind.TIME: UtcDateTime(),
    Kind.DATE: Date(),
    Kind.BOOL: Boolean(),
    Kind.BYTES: LargeBinary(),
    Kind.JSON: JSON(none_as_null=True),
    Kind.INT: BigInteger(),
    Kind.FLOAT: Double(),
    Kind.TEXT: Text(),
}


def kinds(table: Table) -> dict[str, Kind]:
    """Return the kind of each column by the column's name, in the table's order."""
    return {column.name: _kind(column.type) for column in table.columns}


def read_rows(connection: Connection, table: Table) -> Iterator[list[Any]]:
    """Yield the rows of a table in the order of its key, as values that JSON can hold.

    The server sends them as they are read, so that a table of any size takes little memory.
    """
    columns = kinds(table)
    query = select(*(_readable(connection, table, column) for column in table.columns))
    query = query.order_by(*table.primary_key.columns)
    options = {"stream_results": True, "yield_per": _ROWS_AT_ONCE}
    for row in connection.execute(query, execution_options=options):
        yield [_encode(kind, value) for kind, value in zip(columns.values(), row, strict=True)]


def insert_rows(
    connection: Connection, table: str, columns: Mapping[str, Kind], rows: Sequence[list[Any]]
) -> None:
    """Insert rows from `read_rows`, whose values are in the order of `columns`.

    Raises:
        ValueError: a value is not of its column's kind.
        SQLAlchemyError: the database refuses a row.
    """
    target = Table(table, MetaData(), *(Column(n, _TYPES[kind]) for n, kind in columns.items()))
    names, decoders = list(columns), [_DECODERS[kind] for kind in columns.values()]
    values = [
        {
            name: None if value is None else decode(value)
            for name, decode, value in zip(names, decoders, row, strict=True)
        }
        for row in rows
    ]
    if values:
        connection.execute(insert(target), values)


def _kind(column_type: TypeEngine[Any]) -> Kind:
    for known, kind in _KINDS:
        if isinstance(column_type, known):
            return kind
    raise TypeError(f"add {column_type!r} to the kinds of portable columns")


def _readable(connection: Connection, table: Table, column: Column[Any]) -> ColumnElement[Any]:
    if _kind(column.type) is not Kind.JSON:
        return table.c[column.key]
    # Its text, as JSON's null and the database's NULL are one value in Python.
    if connection.dialect.name == "postgresql":
        return cast(table.c[column.key], Text)
    return type_coerce(table.c[column.key], Text)


def _encode(kind: Kind, value: Any) -> Any:  # noqa: ANN401 - values of any column
    if value is None:
        return None
    match kind:
        case Kind.UUID:
            return value.hex
        case Kind.TIME:
            return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
        case Kind.DATE:
            return value.isoformat()
        case Kind.BYTES:
            return base64.b64encode(value).decode()
        case _:
            return value


def _time(value: str) -> datetime:
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def _bytes(value: str) -> bytes:
    return base64.b64decode(value, validate=True)


def _json(value: str) -> Any:  # noqa: ANN401 - any JSON
    parsed = json.loads(value)
    return JSON.NULL if parsed is None else parsed


def _same(value: Any) -> Any:  # noqa: ANN401 - an int, float or str
    return value


_DECODERS: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.UUID: UUID,
    Kind.TIME: _time,
    Kind.DATE: date.fromisoformat,
    Kind.BOOL: bool,
    Kind.BYTES: _bytes,
    Kind.JSON: _json,
    Kind.INT: int,
    Kind.FLOAT: float,
    Kind.TEXT: _same,
}
