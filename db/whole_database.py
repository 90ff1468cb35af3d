"""Reads and writes a whole database: a snapshot of all tables, and a transaction that fills them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    MetaData,
    Row,
    Select,
    Table,
    exists,
    func,
    inspect,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import InstrumentedAttribute

from db.engines import BEGIN_IMMEDIATE, open_unpooled_engine
from db.tables import DERIVED, FTS5_TABLES, FULL_TEXT_TABLES, Base

EPHEMERAL = {"alembic_version", "write_probe", "transaction_markers"}
"""Tables that have rows in a database that nobody has used yet."""
_LONGEST_PAUSE_S = 3600
"""How long MySQL waits for a client that writes a large file before it reads on."""


@contextmanager
def snapshot(url: str) -> Iterator[Connection]:
    """Yield a connection that reads the database as it is now, while others write.

    Raises:
        SQLAlchemyError: the database is unavailable.
    """
    engine = open_unpooled_engine(url)
    with engine.connect() as connection:
        match connection.dialect.name:
            case "sqlite":
                connection.execute(text("SELECT count(*) FROM sqlite_schema"))  # begins to read
            case "postgresql":
                connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
                connection.execute(text("SELECT 1"))
            case _:
                connection.execution_options(isolation_level="REPEATABLE READ")
                connection.exec_driver_sql(f"SET SESSION net_write_timeout = {_LONGEST_PAUSE_S}")
                connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        yield connection


@contextmanager
def unchecked(url: str) -> Iterator[Connection]:
    """Yield a connection in one transaction that commits at the end of the block.

    Foreign keys are not enforced, so that rows may come in any order, even without their owner; except on
    PostgreSQL for a user who is no superuser.

    Raises:
        SQLAlchemyError: the database is unavailable; nothing was stored.
    """
    engine = open_unpooled_engine(url)
    with engine.connect() as connection:
        kind = connection.dialect.name
        if kind == "sqlite":
            # Sent by the driver: SQLite ignores this pragma inside a transaction.
            connection.connection.cursor().execute("PRAGMA foreign_keys = OFF")
            connection.execution_options(**{BEGIN_IMMEDIATE: True})
        with connection.begin():
            if kind == "postgresql":
                _stop_triggers(connection)
            elif kind != "sqlite":
                connection.execute(text("SET SESSION foreign_key_checks = 0"))
            yield connection


def table_names(url: str) -> set[str]:
    """Return the names of all tables, without those of a full-text index."""
    with open_unpooled_engine(url).connect() as connection:
        return _names(connection)


def used_tables(url: str) -> list[str]:
    """Return the tables that have rows, apart from EPHEMERAL, sorted."""
    with open_unpooled_engine(url).connect() as connection:
        names = sorted(_names(connection) - EPHEMERAL)
        return [name for name in names if connection.scalar(_has_rows(name))]


def column_names(connection: Connection, name: str) -> set[str]:
    """Return the names of the columns of a table that exists."""
    return {column["name"] for column in inspect(connection).get_columns(name)}


def count_rows(connection: Connection, name: str) -> int:
    """Return the number of rows of a table."""
    return connection.scalar(select(func.count()).select_from(table(name))) or 0


def delete_rows(connection: Connection, name: str) -> None:
    """Delete all rows of a table."""
    connection.execute(table(name).delete())


def drop_tables(url: str, names: Collection[str]) -> None:
    """Drop the tables that exist, with their rows."""
    with unchecked(url) as connection:
        if connection.dialect.name == "sqlite":
            for name in FTS5_TABLES.values():  # no schema lists them as ours
                connection.execute(text(f"DROP TABLE IF EXISTS {name}"))
        metadata = MetaData()
        metadata.reflect(connection, only=lambda name, _: name in names)
        metadata.drop_all(connection)


def stored_bytes(
    connection: Connection,
    user_id: InstrumentedAttribute[UUID],
    sha256: InstrumentedAttribute[Any],
) -> Iterable[Row[UUID, str]]:
    """Return user and SHA-256 of all bytes that the rows of a table need, from these two columns."""
    query = select(user_id, sha256).where(sha256.is_not(None)).distinct().order_by(user_id, sha256)
    return connection.execute(query, execution_options={"stream_results": True, "yield_per": 1000})


def all_tables() -> list[Table]:
    """Return the tables of the newest schema, owners before the rows that they own."""
    return list(Base.metadata.sorted_tables)


def archived_tables() -> list[Table]:
    """Return those of them whose rows a backup contains: all but what the service derives from others."""
    return [table for table in all_tables() if table.name not in DERIVED]


def _names(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - FULL_TEXT_TABLES


def _has_rows(name: str) -> Select[bool]:
    return select(exists(select(literal_column("1")).select_from(table(name))))


def _stop_triggers(connection: Connection) -> None:
    """Stop the triggers that enforce foreign keys, if this user may."""
    try:
        with connection.begin_nested():
            connection.execute(text("SET LOCAL session_replication_role = replica"))
    except DBAPIError:
        return  # rows then come in the order of their owners
