"""The boundary to the database: one transaction at a time, its failures mapped to our errors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from db import migrate
from db.session import Database, is_unavailable
from service.config import Config
from service.database_address import shown
from service.errors import ConfigError, DatabaseUnavailable

T = TypeVar("T")
_AWAY = "The database does not answer. Try again shortly."


def open_database(config: Config, *, pool_size: int) -> Database:
    """Return the database of DATABASE_URL; a server that is away is no error here.

    Raises:
        ConfigError: the folder or file of an SQLite database cannot be made.
    """
    try:
        return Database.connect(config.database_url, pool_size=pool_size)
    except OSError as error:
        raise unusable_database(config, error) from error


def unusable_database(config: Config, error: OSError) -> ConfigError:
    """Return what to do about a file or folder of the database that the system refuses."""
    which = f" ({error.filename})" if error.filename else ""
    return ConfigError(
        f"The database {shown(config.database_url)} cannot be opened: {error.strerror}{which}. Set "
        "DATABASE_URL (or DATA_DIR for the embedded database) so that this user may write its folder and "
        "read its files."
    )


class Store:
    """Runs work in transactions once the schema is known to be current."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._schema_is_current = threading.Event()

    def transaction(self, work: Callable[[Session], T]) -> T:
        """Run `work` in one transaction and commit it; it may run again, whole, after a lost one.

        Raises:
            DatabaseUnavailable: no connection, or the schema is not migrated yet.
        """
        self._need_schema()
        try:
            return self._database.transaction(work)
        except SQLAlchemyError as error:
            if is_unavailable(error):
                raise DatabaseUnavailable(_AWAY) from error
            raise

    def _need_schema(self) -> None:
        """Ask, until it once was so, whether the schema is the newest; DatabaseUnavailable if not."""
        if self._schema_is_current.is_set():
            return
        try:
            current = migrate.is_current(self._database)
        except SQLAlchemyError as error:
            raise DatabaseUnavailable(_AWAY) from error
        if not current:
            raise DatabaseUnavailable(
                "The database schema is not current; the operator runs `python -m service db upgrade`."
            )
        self._schema_is_current.set()

    def ping(self) -> None:
        """Raise DatabaseUnavailable unless the database answers now."""
        self._need_schema()
        try:
            self._database.ping()
        except SQLAlchemyError as error:
            raise DatabaseUnavailable(_AWAY) from error

    def close(self) -> None:
        """Close every pooled connection."""
        self._database.dispose()
