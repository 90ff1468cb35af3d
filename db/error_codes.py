"""Classifies failed statements: run the transaction again, answer "unavailable", or neither.

Only the servers' documented codes decide, never the text of a message.
"""

from __future__ import annotations

import sqlite3

import psycopg
import pymysql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# 1205 lock wait timeout, 1213 deadlock, 1927 connection killed, 2006 gone away, 2013 lost during
# the query, 4031 disconnected for inactivity.
_MYSQL_RETRYABLE = {1205, 1213, 1927, 2006, 2013, 4031}
# After these two the server is reachable and has rolled back.
_MYSQL_ROLLED_BACK = {1205, 1213}
# 1021 disk full, 1040 too many connections, 1041 out of memory, 1053 shutting down, 1114 table
# full, 1158-1161 network, 1203 too many of this user's connections, 1290 and 1836 read-only,
# 1317 query interrupted, 2002 and 2003 cannot connect, 3024 and 1969 statement took too long.
_MYSQL_UNAVAILABLE = {
    1021, 1040, 1041, 1053, 1114, 1158, 1159, 1160, 1161, 1203, 1290, 1317, 1836, 1969, 2002, 2003, 3024,
}  # fmt: skip
# Serialization failure, deadlock, lock timeout, terminated by an administrator, connection lost.
_POSTGRESQL_RETRYABLE = ("40001", "40P01", "55P03", "57P01", "08")
_POSTGRESQL_ROLLED_BACK = {"40001", "40P01", "55P03"}
# Shutdown, crash and start-up; resources used up; statement timeout; read-only standby.
_POSTGRESQL_UNAVAILABLE = ("57P0", "53", "57014", "25006")
# Disk or table full; server, InnoDB, schema or transaction read-only.
_MYSQL_UNWRITABLE = {1021, 1114, 1290, 1792, 1836, 1874, 3989}
_POSTGRESQL_UNWRITABLE = ("53100", "25006")
_SQLITE_UNWRITABLE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_SHMSIZE,
}
_SQLITE_RETRYABLE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SQLITE_UNAVAILABLE = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
# MySQL's error number, PostgreSQL's SQLSTATE, SQLite's extended code.
_DUPLICATE = {1062, "23505", sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}
_MISSING_PARENT = {1216, 1452, "23503", sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY}


def is_duplicate(error: BaseException) -> bool:
    """Return whether a row with the same unique value is stored already."""
    return _code(error) in _DUPLICATE


def is_missing_parent(error: BaseException) -> bool:
    """Return whether an inserted row refers to a missing row, such as a deleted account."""
    return _code(error) in _MISSING_PARENT


def is_lost_connection(error: BaseException | None) -> bool:
    """Return whether the connection broke; the pool has then dropped it and all older ones."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def is_retryable(error: BaseException) -> bool:
    """Return whether the whole transaction may succeed if it runs again at once."""
    if is_lost_connection(error):
        return True
    match _driver_error(error):
        case pymysql.err.Error() as cause:
            return _mysql_code(cause) in _MYSQL_RETRYABLE
        case psycopg.Error() as cause:
            return (cause.sqlstate or "").startswith(_POSTGRESQL_RETRYABLE)
        case sqlite3.Error() as cause:
            return _sqlite_code(cause) in _SQLITE_RETRYABLE
        case _:
            return False


def is_in_doubt(error: BaseException) -> bool:
    """Return whether a transaction may have been committed although its COMMIT failed with `error`."""
    return is_unavailable(error) and not (_is_rolled_back(error) or is_unwritable(error))


def is_unavailable(error: BaseException) -> bool:
    """Return whether the database, not the request, is at fault: the request may succeed later.

    True if the database refuses or drops connections, is locked for longer than the retries last, has no
    space or is read-only, and if the pool has no free connection.
    """
    if isinstance(error, PoolTimeout) or is_retryable(error) or is_unwritable(error):
        return True
    match _driver_error(error):
        case pymysql.err.Error() as cause:
            return _mysql_code(cause) in _MYSQL_UNAVAILABLE
        case psycopg.OperationalError(sqlstate=None):
            return True  # libpq gives no code if it cannot connect
        case psycopg.Error() as cause:
            return (cause.sqlstate or "").startswith(_POSTGRESQL_UNAVAILABLE)
        case sqlite3.Error() as cause:
            return _sqlite_code(cause) in _SQLITE_UNAVAILABLE
        case _:
            return False


def is_unwritable(error: BaseException) -> bool:
    """Return whether the database refuses every write, because its disk is full or it is read-only."""
    match _driver_error(error):
        case pymysql.err.Error() as cause:
            return _mysql_code(cause) in _MYSQL_UNWRITABLE
        case psycopg.Error() as cause:
            return (cause.sqlstate or "").startswith(_POSTGRESQL_UNWRITABLE)
        case sqlite3.Error() as cause:
            codes = {_sqlite_code(cause), getattr(cause, "sqlite_errorcode", None)}
            return not codes.isdisjoint(_SQLITE_UNWRITABLE)
        case _:
            return False


def _is_rolled_back(error: BaseException) -> bool:
    match _driver_error(error):
        case pymysql.err.Error() as cause:
            return _mysql_code(cause) in _MYSQL_ROLLED_BACK
        case psycopg.Error() as cause:
            return cause.sqlstate in _POSTGRESQL_ROLLED_BACK
        case sqlite3.Error() as cause:
            return _sqlite_code(cause) in _SQLITE_RETRYABLE
        case _:
            return False


def _code(error: BaseException) -> int | str | None:
    match _driver_error(error):
        case pymysql.err.Error() as cause:
            return _mysql_code(cause)
        case psycopg.Error() as cause:
            return cause.sqlstate
        case sqlite3.Error() as cause:
            return getattr(cause, "sqlite_errorcode", None)
        case _:
            return None


def _driver_error(error: BaseException) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _mysql_code(error: pymysql.err.Error) -> int | None:
    code = error.args[0] if error.args else None
    return code if isinstance(code, int) else None


def _sqlite_code(error: sqlite3.Error) -> int:
    # Errors of the module itself (misuse) carry no code; the low byte is the primary code.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
