"""Engines per kind of database: timeouts, isolation and the pragmas of SQLite."""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import ssl
import time
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pymysql.connections
from psycopg.abc import PQGen
from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, PoolResetState

CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT_S = 10
# Every statement of the service is short, so 20 s without an answer mean a dead server or network. Without
# a limit the thread would hang until TCP gives up after 15 minutes, or for ever if the server is frozen.
# Analysis runs outside of transactions, so the limit interrupts nothing long. Migrations have no limit.
STATEMENT_TIMEOUT_S = 20
_POLL_S = 0.1  # psycopg's own interval for Ctrl-C checks
_RECYCLE_S = 1800  # below the idle limits of common firewalls and of MySQL's wait_timeout (8 h)
_T = TypeVar("_T")
BEGIN_IMMEDIATE = "begin_immediate"
"""Execution option: an SQLite transaction takes the write lock as it begins."""
COMMITTED = "committed"
"""Key in the info of a pooled connection whose transaction is committed: the pool need not roll back."""


def open_engine(url: str, *, pool_size: int) -> Engine:
    """Return the engine of the service: pooled, with limits on every wait.

    The pool does not ping a connection before use. If it is dead, Database runs the transaction again, and
    the pool replaces every connection of that age.
    """
    parsed = make_url(url)
    engine = _engine(
        parsed,
        connect_s=CONNECT_TIMEOUT_S,
        statement_s=STATEMENT_TIMEOUT_S,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_S,
        pool_recycle=_RECYCLE_S,
        pool_reset_on_return=None,
    )
    event.listen(engine, "reset", _roll_back_if_open)
    return engine


def open_unpooled_engine(url: str | URL, *, timeout_s: float | None = None) -> Engine:
    """Return an engine that opens a connection for each use; `timeout_s` bounds each wait, None does not."""
    parsed = make_url(url)
    return _engine(
        parsed,
        connect_s=timeout_s or CONNECT_TIMEOUT_S,
        statement_s=timeout_s,
        poolclass=NullPool,
    )


def open_probe(url: URL, *, timeout_s: float) -> Engine:
    """Return an engine for the probes of one thread; `timeout_s` bounds each wait.

    For MySQL it keeps one connection and replaces it if it has died: a log-in takes several round trips. For
    PostgreSQL and SQLite it opens a connection for each probe, in 1.4 and 0.7 ms (AMD EPYC, November 2026):
    psycopg bounds connecting but no read, and SQLite would continue to read a deleted file.
    """
    if url.get_backend_name() not in ("mysql", "mariadb"):
        return open_unpooled_engine(url, timeout_s=timeout_s)
    return _engine(
        url,
        connect_s=timeout_s,
        statement_s=timeout_s,
        pool_size=1,
        max_overflow=0,
        pool_timeout=timeout_s,
        pool_pre_ping=True,
        pool_reset_on_return=None,
        skip_autocommit_rollback=True,
        isolation_level="AUTOCOMMIT",
    )


def _engine(
    url: URL,
    *,
    connect_s: float,
    statement_s: float | None,
    **options: Any,  # noqa: ANN401 - create_engine's
) -> Engine:
    limits = _limits(url, connect_s=connect_s, statement_s=statement_s)
    # Options in the operator's URL take precedence over ours.
    settings = {name: value for name, value in limits.items() if name not in url.query}
    if url.get_backend_name() == "sqlite":
        _make_private(url)
        engine = create_engine(url, connect_args=settings, **options)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    # One isolation level for both servers: each statement sees committed rows, and inserts lock no gaps.
    engine = create_engine(
        url, connect_args=settings, **{"isolation_level": "READ COMMITTED", **options}
    )
    if url.get_backend_name() == "postgresql":
        event.listen(engine, "do_connect", functools.partial(_connect_bounded, statement_s))
    elif engine.dialect.driver == "pymysql":
        event.listen(engine, "do_connect", _connect_mysql)
    return engine


def _limits(url: URL, *, connect_s: float, statement_s: float | None) -> dict[str, Any]:
    match url.get_backend_name():
        case "sqlite":
            return {"timeout": connect_s}
        case "postgresql":
            return _postgresql_limits(connect_s, statement_s)
        case _:
            return _mysql_limits(connect_s, statement_s)


def _mysql_limits(connect_s: float, statement_s: float | None) -> dict[str, Any]:
    return {
        "charset": "utf8mb4",
        "connect_timeout": connect_s,
        "read_timeout": statement_s,
        "write_timeout": statement_s,
        # Strict mode rejects a value that does not fit; otherwise a lax server truncates it with a warning.
        "init_command": "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES'), "
        f"innodb_lock_wait_timeout = {LOCK_TIMEOUT_S}",
    }


def _postgresql_limits(connect_s: float, statement_s: float | None) -> dict[str, Any]:
    statement_ms, lock_ms = int((statement_s or 0) * 1000), LOCK_TIMEOUT_S * 1000
    return {
        "connect_timeout": max(2, int(connect_s)),  # libpq counts whole seconds, and 1 as 2
        "options": f"-c statement_timeout={statement_ms} -c lock_timeout={lock_ms}",
        # The server ends its own statement; the keepalives detect that the server is gone. The kernel of a
        # frozen server still acknowledges packets: see BoundedConnection.
        "tcp_user_timeout": STATEMENT_TIMEOUT_S * 1000,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }


class BoundedConnection(psycopg.Connection[Any]):
    """A PostgreSQL connection that closes itself after `answer_s` seconds without an answer."""

    answer_s: float | None = None

    def wait(self, gen: PQGen[_T], interval: float = _POLL_S, timeout: float | None = None) -> _T:
        """Run `gen` to its end; if it takes too long, close the connection and raise OperationalError."""
        limit_s = self.answer_s if timeout is None else timeout
        began_s = time.monotonic()
        try:
            return super().wait(gen, interval, limit_s)
        except psycopg.Error:
            if self.answer_s and time.monotonic() - began_s >= self.answer_s:
                self.close()
            raise


def _connect_bounded(
    statement_s: float | None,
    _dialect: Dialect,
    _record: ConnectionPoolEntry,
    arguments: tuple[Any, ...],
    parameters: dict[str, Any],
) -> BoundedConnection:
    connection = BoundedConnection.connect(*arguments, **parameters)
    # The server's own limit ends first, so that its error names the cause.
    connection.answer_s = statement_s and statement_s + 1
    return connection


class MySqlConnection(pymysql.connections.Connection):
    """A connection that reads the system's certificates only if options of TLS are set.

    PyMySQL reads them for each connection, and without options verifies nothing by them.
    """

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:  # noqa: ANN401 - PyMySQL's
        if not sslp:
            return _unverified_tls()
        context: ssl.SSLContext = super()._create_ssl_ctx(sslp)  # type: ignore[misc] # private
        return context


@functools.cache
def _unverified_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _connect_mysql(
    _dialect: Dialect,
    _record: ConnectionPoolEntry,
    arguments: tuple[Any, ...],
    parameters: dict[str, Any],
) -> MySqlConnection:
    return MySqlConnection(*arguments, **parameters)


def _roll_back_if_open(
    connection: DBAPIConnection, record: ConnectionPoolEntry, state: PoolResetState
) -> None:
    """Roll back as a connection returns to the pool, unless its transaction is known to have ended.

    A rollback costs a round trip on MySQL even without a transaction. A failed commit may leave one open.
    """
    is_committed = record.info.pop(COMMITTED, False)
    if not is_committed and not state.transaction_was_reset:
        connection.rollback()


def _make_private(url: URL) -> None:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return
    path = Path(url.database)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite gives its WAL the permissions of the database file. An existing file is not
    # opened: closing it would drop the locks of this process's other connections (POSIX), and the next
    # process to close the database would take their WAL away (sqlite.org/howtocorrupt.html, 2.2).
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # _begin_sqlite sends BEGIN; the driver would send it too late.
    connection.isolation_level = None
    # SQLite's own lower() knows only ASCII, but searches ignore case in every language.
    connection.create_function("lower", 1, _lower, deterministic=True)
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _lower(value: str | None) -> str | None:
    return None if value is None else str(value).lower()


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(BEGIN_IMMEDIATE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
