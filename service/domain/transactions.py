"""The boundary to the database: transactions, the readiness probes, and failures mapped to our errors."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from db import migrate
from db.database import PING_TIMEOUT_S, CommitInDoubt, Database
from db.error_codes import is_unavailable, is_unwritable
from service.config.database_address import redact
from service.config.settings import Config
from service.errors import ConfigError, DatabaseUnavailable

P = ParamSpec("P")
T = TypeVar("T")
WRITE_EVERY_S = 10.0
"""Seconds between write probes of the readiness check; a refused write counts for as long."""
_PROOF_BYTES = 256 * 1024
"""Bytes that must fit after a refused write; one row often fits on a disk that is too full for scans."""
HANGS_AFTER_S = 5.0
"""A database counts as hanging if all probes have timed out for so many seconds."""
_NO_ANSWER = "The database does not answer. Try again shortly."
_IN_DOUBT = (
    "The database stopped answering while it stored this, so it may have been stored. Repeat the request "
    "with the same Idempotency-Key; if it had none, look first whether it was stored."
)
_UNWRITABLE = (
    "The database cannot be written: its disk is full, or it is read-only. Nothing was stored or deleted; "
    "the operator has to free space or make it writable."
)


def open_database(config: Config, *, pool_size: int) -> Database:
    """Return the database of DATABASE_URL; it does not connect yet.

    Raises:
        ConfigError: the folder or file of an SQLite database cannot be created.
    """
    try:
        return Database.connect(config.database_url, pool_size=pool_size)
    except OSError as error:
        raise unusable_database(config, error) from error


def unusable_database(config: Config, error: OSError) -> ConfigError:
    """Return the remedy for a database file or folder that the system refuses to open."""
    which = f" ({error.filename})" if error.filename else ""
    return ConfigError(
        f"The database {redact(config.database_url)} cannot be opened: {error.strerror}{which}. Set "
        "DATABASE_URL (or DATA_DIR for the embedded database) so that this user may write its folder and "
        "read its files."
    )


class Transactions:
    """Runs work in transactions, once the schema is current."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._schema_is_usable = threading.Event()
        self._silent_since_s: float | None = None
        self._is_writable = True
        self._write_due_s = 0.0

    def run(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `work(session, ...)` in one transaction, commit it and return its result.

        `work` runs again, whole, if its transaction is known to be rolled back: it must start from values
        and return what it changed. See Database.run.

        Raises:
            DatabaseUnavailable: no connection, or the schema is not migrated yet. Raised at once while the
                database hangs, so that no thread waits for it. Nothing was stored, unless the message says
                that it may have been.
        """
        with self._map_errors():
            return self._database.run(lambda session: work(session, *args, **kwargs))

    def read(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `work(session, ...)`, which writes nothing, in one transaction; raises as `run` does."""
        with self._map_errors():
            return self._database.read(lambda session: work(session, *args, **kwargs))

    @contextlib.contextmanager
    def _map_errors(self) -> Iterator[None]:
        """Map the database's failures to DatabaseUnavailable."""
        if self._hangs():
            raise DatabaseUnavailable(_NO_ANSWER)
        self._require_schema()
        try:
            yield
        except CommitInDoubt as error:
            raise DatabaseUnavailable(_IN_DOUBT) from error
        except SQLAlchemyError as error:
            if is_unwritable(error):
                self._is_writable, self._write_due_s = False, time.monotonic() + WRITE_EVERY_S
                raise DatabaseUnavailable(_UNWRITABLE) from error
            if is_unavailable(error):
                raise DatabaseUnavailable(_NO_ANSWER) from error
            raise

    def _require_schema(self) -> None:
        """Raise DatabaseUnavailable unless this code runs on the schema; check no more once it does."""
        if self._schema_is_usable.is_set():
            return
        try:
            is_usable = migrate.is_usable(self._database)
        except SQLAlchemyError as error:
            raise DatabaseUnavailable(_NO_ANSWER) from error
        if not is_usable:
            raise DatabaseUnavailable(
                "The database schema is not current; the operator runs `python -m service db upgrade`."
            )
        self._schema_is_usable.set()

    def ping(self) -> None:
        """Raise DatabaseUnavailable unless the database answers now."""
        self._require_schema()
        began_s = time.monotonic()
        try:
            self._database.ping()
        except SQLAlchemyError as error:
            if time.monotonic() - began_s < PING_TIMEOUT_S:
                self._silent_since_s = None  # the refusal is known; no request has to wait for it
            elif self._silent_since_s is None:
                self._silent_since_s = began_s
            raise DatabaseUnavailable(_NO_ANSWER) from error
        self._silent_since_s = None

    def prove_writable(self) -> None:
        """Raise DatabaseUnavailable if the database refused the last probe; probe every WRITE_EVERY_S."""
        if time.monotonic() >= self._write_due_s:
            try:
                self._database.write(n_bytes=0 if self._is_writable else _PROOF_BYTES)
            except SQLAlchemyError as error:
                # `ping` reports a database that is only busy, or that has become unreachable.
                if is_unwritable(error):
                    self._is_writable = False
            else:
                self._is_writable = True
            self._write_due_s = time.monotonic() + (WRITE_EVERY_S if self._is_writable else 1.0)
        if not self._is_writable:
            raise DatabaseUnavailable(_UNWRITABLE)

    def _hangs(self) -> bool:
        since_s = self._silent_since_s
        return since_s is not None and time.monotonic() - since_s >= HANGS_AFTER_S

    def close(self) -> None:
        """Close every pooled connection."""
        self._database.dispose()
