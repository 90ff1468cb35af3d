"""Database: a pool of connections, and transactions that run again if the server drops one midway."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import Engine, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

from db import commit_markers, written_tables
from db.commit_markers import CommitMarker
from db.engines import BEGIN_IMMEDIATE, COMMITTED, open_engine, open_probe
from db.error_codes import is_in_doubt, is_lost_connection, is_retryable, is_unavailable
from db.tables import WriteProbe

__all__ = ["Database", "is_unavailable"]

T = TypeVar("T")
PING_TIMEOUT_S = 2.0
_ATTEMPTS = 3
LAST_START_S = 10.0
"""Seconds after which no retry starts; a transaction ends at most STATEMENT_TIMEOUT_S later."""
LOOKUP_S = 5.0
"""Seconds after which a commit in doubt is not looked up again."""
_CLEANUP_EVERY_S = 600.0
_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 0.5
_BACKOFF = wait_random_exponential(multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S)


def _wait_s(state: RetryCallState) -> float:
    """Return the seconds to wait before the next run: zero after a first lost connection."""
    error = state.outcome.exception() if state.outcome else None
    if state.attempt_number == 1 and is_lost_connection(error):
        return 0.0
    return _BACKOFF(state)


def _is_last(state: RetryCallState) -> bool:
    is_late = (state.seconds_since_start or 0.0) >= LAST_START_S
    return is_late or state.attempt_number >= _ATTEMPTS


_RETRYING = Retrying(
    stop=_is_last,
    wait=_wait_s,
    retry=retry_if_exception(is_retryable),
    reraise=True,
)


class CommitInDoubt(Exception):
    """The connection broke during COMMIT, and the lookup of the transaction failed too."""


class Database:
    """A pool of connections to one database; safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._on_written: Callable[[frozenset[str]], None] = lambda _tables: None
        self._cleanup_due_s = 0.0
        self._probe = open_probe(engine.url, timeout_s=PING_TIMEOUT_S)

    @classmethod
    def connect(cls, url: str, *, pool_size: int) -> Database:
        """Return the database at `url` (sqlite:///, mysql+pymysql://, postgresql+psycopg://).

        Does not connect yet, so it does not notice an unreachable server. Creates a missing SQLite file,
        readable by its owner only.
        """
        return cls(open_engine(url, pool_size=pool_size))

    def run(self, work: Callable[[Session], T]) -> T:
        """Run `work` in one transaction, commit it and return its result.

        A failure before COMMIT stores nothing. After a deadlock or a lost connection, the whole of `work`
        runs again, at most 3 times in all; no run starts after 10 s. So `work` must start from values, not
        from model objects of an earlier run. If the connection breaks during COMMIT, the commit marker shows
        whether the transaction was committed. If it was not, it runs again.

        Raises:
            CommitInDoubt: the transaction may have been committed; looking it up failed.
            SQLAlchemyError: nothing was stored, see `is_unavailable`; whatever `work` raises.
        """
        return _RETRYING(lambda: self._run(work))

    def read(self, work: Callable[[Session], T]) -> T:
        """Run `work`, which writes nothing, in one transaction and return its result.

        It leaves no marker and takes no lock on SQLite. It runs again after any lost connection.

        Raises:
            SQLAlchemyError: see `is_unavailable`; whatever `work` raises.
        """
        return _RETRYING(lambda: self._read(work))

    def watch_writes(self, on_written: Callable[[frozenset[str]], None]) -> None:
        """Call `on_written` after each committed `run` with the names of the tables that it wrote."""
        self._on_written = on_written
        written_tables.watch(self.engine)

    def ping(self) -> None:
        """Read from the database over a separate connection, which a busy pool does not delay.

        Raises:
            SQLAlchemyError: the database did not answer; each wait lasts PING_TIMEOUT_S at most.
        """
        with self._probe.connect() as connection:
            # SQLite answers SELECT 1 without opening its file.
            is_sqlite = connection.dialect.name == "sqlite"
            connection.execute(text("PRAGMA schema_version" if is_sqlite else "SELECT 1"))

    def write(self, *, n_bytes: int = 0) -> None:
        """Write a row of `n_bytes` over the connection of `ping`, commit it, and free its space again.

        Raises:
            SQLAlchemyError: the row was not written; each wait lasts PING_TIMEOUT_S at most.
        """
        payloads = [os.urandom(n_bytes), None] if n_bytes else [None]
        with self._probe.connect() as connection:
            connection.execution_options(**{BEGIN_IMMEDIATE: True})
            for payload in payloads:
                values = {"written_at": datetime.now(UTC), "payload": payload}
                with connection.begin():
                    connection.execute(update(WriteProbe).where(WriteProbe.id == 1).values(values))

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        self._probe.dispose()

    def _run(self, work: Callable[[Session], T]) -> T:
        with self.engine.connect() as connection:
            # An SQLite transaction that reads before it writes fails if another one wrote in between.
            connection.execution_options(**{BEGIN_IMMEDIATE: True})
            written_tables.taken(connection)  # what a failed transaction left
            with Session(connection, expire_on_commit=False) as session:
                result = work(session)
                session.flush()
                marker = self._marker(session)
                written = written_tables.taken(connection)
                session.expunge_all()  # a failing COMMIT would expire the objects of `result`
                try:
                    session.commit()
                except BaseException as error:
                    session.rollback()
                    if is_in_doubt(error):
                        connection.invalidate()
                        if self._is_committed(marker, error):
                            self._on_written(written)
                            return result
                    raise
            connection.info[COMMITTED] = True
        self._on_written(written)
        return result

    def _read(self, work: Callable[[Session], T]) -> T:
        with self.engine.connect() as connection:
            with Session(connection, expire_on_commit=False) as session, session.begin():
                result = work(session)
            connection.info[COMMITTED] = True
        return result

    def _marker(self, session: Session) -> CommitMarker:
        marker = commit_markers.ensure_marker(session)
        if time.monotonic() >= self._cleanup_due_s:
            self._cleanup_due_s = time.monotonic() + _CLEANUP_EVERY_S
            commit_markers.delete_old(session)
        return marker

    def _is_committed(self, marker: CommitMarker, error: BaseException) -> bool:
        """Return whether a transaction whose COMMIT failed with `error` was committed."""
        lookup = Retrying(
            stop=stop_after_delay(LOOKUP_S),
            wait=_BACKOFF,
            retry=retry_if_exception(is_unavailable),
            reraise=True,
        )
        try:
            return lookup(commit_markers.is_committed, self.engine.url, marker)
        except SQLAlchemyError:
            raise CommitInDoubt from error
