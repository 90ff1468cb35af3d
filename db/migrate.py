"""Upgrades, downgrades and inspects the schema from code, without an alembic.ini.

One process migrates at a time. Others wait, then have nothing to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, TextClause, text
from sqlalchemy.schema import SchemaItem

from db.database import Database
from db.engines import BEGIN_IMMEDIATE, open_unpooled_engine
from db.tables import FULL_TEXT_INDEXES, FULL_TEXT_TABLES, Base

LOCK_TIMEOUT_S = 600
_LOCK_EVERY_S = 0.2
_BUSY = "another process has been migrating this database for too long"
_FROM = ".from."
_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK_NAME = "riskscan_migrations"
_LOCK_NUMBER = 0x7269736B  # PostgreSQL names its advisory locks by number

_DESCENDING = {
    f"ix_{table}_{columns}"
    for table in ("scans", "documents")
    for columns in ("created_at_id", "user_id_created_at_id")
}


class MigrationsBusy(TimeoutError):
    """Another process has been migrating for longer than LOCK_TIMEOUT_S seconds."""


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the schema up to `revision`; do nothing if it is there already.

    Raises:
        SQLAlchemyError: the database is unavailable or refuses a change.
        MigrationsBusy: another process holds the lock.
    """
    _migrate(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str) -> None:
    """Take the schema back to `revision`, "base" for none; raises as `upgrade` does."""
    _migrate(url, lambda config: command.downgrade(config, revision))


def current(url: str) -> str | None:
    """Return the schema's revision, None if no migration has run."""
    with open_unpooled_engine(url).connect() as connection:
        return revision(connection)


def revision(connection: Connection) -> str | None:
    """Return the schema's revision as `connection` sees it, None if no migration has run."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """Return the newest revision that this code knows."""
    newest = _scripts().get_current_head()
    if newest is None:
        raise LookupError(f"no migration is installed in {_SCRIPTS}")
    return newest


def revisions() -> list[str]:
    """Return all revisions that this code knows, newest first."""
    return [script.revision for script in _scripts().walk_revisions()]


def is_known(revision: str) -> bool:
    """Return whether this code has the migration to a revision."""
    return revision in revisions()


def serves(revision: str) -> bool:
    """Return whether this code runs on the schema of a revision: the newest that it knows, or a later one.

    Later ones name the oldest code that runs on them (script.py.mako): "0041.from.0038" serves code whose own
    newest revision is 0038 or later.
    """
    newest = head()
    if revision == newest:
        return True
    _, _, oldest = revision.partition(_FROM)
    return bool(oldest) and oldest <= newest.partition(_FROM)[0] and not is_known(revision)


def is_usable(database: Database) -> bool:
    """Return whether this code runs on the database's schema as it is.

    Raises:
        SQLAlchemyError: the database is unavailable.
    """
    now = database.read(lambda session: revision(session.connection()))
    return now is not None and serves(now)


def differences(url: str) -> list[Any]:
    """Return what Alembic would change to match db.tables; [] if the schema matches."""
    with open_unpooled_engine(url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _is_comparable})
        return list(compare_metadata(context, Base.metadata))


def _migrate(url: str, change: Callable[[Config], None]) -> None:
    config = _config()
    with open_unpooled_engine(url).connect() as connection, _migration_lock(connection):
        config.attributes["connection"] = connection
        change(config)


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


def _is_comparable(_item: SchemaItem, name: str | None, kind: str, *_: object) -> bool:
    if kind == "table" and name in FULL_TEXT_TABLES:
        return False
    # Full-text indexes are of another kind on each database, so the models have none.
    # SQLite and MySQL do not report the direction of an index's columns, so an index with a descending
    # column always seems to differ. A test checks these indexes by query plans.
    return not (kind == "index" and name in _DESCENDING | FULL_TEXT_INDEXES)


@contextmanager
def _migration_lock(connection: Connection) -> Iterator[None]:
    locks = {"sqlite": _sqlite_lock, "postgresql": _postgresql_lock}
    with locks.get(connection.dialect.name, _mysql_lock)(connection):
        yield


@contextmanager
def _sqlite_lock(connection: Connection) -> Iterator[None]:
    # Rebuilding a table drops it, which would delete the rows that refer to it. SQLite ignores this pragma
    # inside a transaction, so it goes to the driver before the transaction begins.
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA foreign_keys = OFF")
    cursor.execute(f"PRAGMA busy_timeout = {LOCK_TIMEOUT_S * 1000}")
    with connection.execution_options(**{BEGIN_IMMEDIATE: True}).begin():
        yield
        if dangling := _n_dangling(connection):
            with connection.engine.connect() as before:  # still sees the last commit
                dangling -= _n_dangling(before)
        if dangling > 0:
            raise ValueError(f"the migration would leave {dangling} rows without their owner")


def _n_dangling(connection: Connection) -> int:
    return len(connection.execute(text("PRAGMA foreign_key_check")).all())


@contextmanager
def _postgresql_lock(connection: Connection) -> Iterator[None]:
    # The session holds this lock, not the transaction; closing the connection releases it in any case.
    lock = text("SELECT pg_try_advisory_lock(:number)").bindparams(number=_LOCK_NUMBER)
    deadline_s = time.monotonic() + LOCK_TIMEOUT_S
    # Not pg_advisory_lock: a concurrent build of an index would wait for the transaction that waits there.
    while not connection.scalar(lock):
        connection.commit()
        if time.monotonic() > deadline_s:
            raise MigrationsBusy(_BUSY)
        time.sleep(_LOCK_EVERY_S)
    # A change that waits for a table blocks every later reader, so it gives up soon.
    connection.execute(text("SET lock_timeout = '10s'"))
    unlock = text("SELECT pg_advisory_unlock(:number)").bindparams(number=_LOCK_NUMBER)
    with _commit_before(connection, unlock):
        yield


@contextmanager
def _mysql_lock(connection: Connection) -> Iterator[None]:
    # All databases of a server share its locks, so the name includes the database.
    name = {"name": f"{_LOCK_NAME}.{connection.engine.url.database}"[:64]}
    wait = text(f"SELECT GET_LOCK(:name, {LOCK_TIMEOUT_S})")
    if connection.scalar(wait, name) != 1:
        raise MigrationsBusy(_BUSY)
    connection.execute(text("SET SESSION lock_wait_timeout = 10"))
    with _commit_before(connection, text("SELECT RELEASE_LOCK(:name)").bindparams(**name)):
        yield


@contextmanager
def _commit_before(connection: Connection, unlock: TextClause) -> Iterator[None]:
    """Commit the changes of the block, or roll them back, before `unlock` lets the next process start."""
    connection.commit()
    try:
        yield
        connection.commit()
    finally:
        connection.rollback()
        connection.execute(unlock)
