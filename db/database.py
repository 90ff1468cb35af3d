"""Database: connections, and transactions that run again when the server drops one midway."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import Engine, text, update
from sqlalchemy.orm import Session
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    wait_random_exponential,
)

from db.engines import BEGIN_IMMEDIATE, COMMITTED, open_engine, open_probe
from db.error_codes import is_lost_connection, is_retryable, is_unavailable
from db.tables import WriteProbe

__all__ = ["Database", "is_unavailable"]

T = TypeVar("T")
PING_TIMEOUT_S = 2.0
_ATTEMPTS = 3
LAST_START_S = 10.0
"""Seconds after which no retry starts; a transaction ends at most STATEMENT_TIMEOUT_S later."""
_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 0.5
_BACKOFF = wait_random_exponential(multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S)


def _wait_s(state: RetryCallState) -> float:
    """Return how long to wait before the next run: not at all after a first lost connection."""
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


class Database:
    """A pool of connections to one database; safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._probe = open_probe(engine.url, timeout_s=PING_TIMEOUT_S)

    @classmethod
    def connect(cls, url: str, *, pool_size: int) -> Database:
        """Return the database at `url` (sqlite:///, mysql+pymysql://, postgresql+psycopg://).

        Nothing is sent yet, so a server that is away is no error here. An SQLite file is made,
        readable by its owner only.
        """
        return cls(open_engine(url, pool_size=pool_size))

    def run(self, work: Callable[[Session], T]) -> T:
        """Run `work` in one transaction, commit it and return its result.

        After a deadlock or a lost connection, the whole of `work` is retried, at most 3 runs in all and none
        after 10 s. So `work` must start from values, not from model objects of an earlier run, and take its
        ids from outside. A commit whose answer was lost may have succeeded: `work` may find its own rows.

        Raises:
            SQLAlchemyError: see `is_unavailable`; whatever `work` raises, after a rollback.
        """
        runs = iter(range(_ATTEMPTS))
        return _RETRYING(lambda: self._run(work, is_first=next(runs) == 0))

    def read(self, work: Callable[[Session], T]) -> T:
        """Run `work`, which writes nothing, in one transaction; otherwise as `run`."""
        return self.run(work)

    def ping(self) -> None:
        """Read from the database over a connection of its own, which no busy pool delays.

        Raises:
            SQLAlchemyError: it did not answer; each wait lasts PING_TIMEOUT_S at most.
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
        """Close every connection that is kept."""
        self.engine.dispose()
        self._probe.dispose()

    def _run(self, work: Callable[[Session], T], *, is_first: bool) -> T:
        with self.engine.connect() as connection:
            if not is_first:
                # On SQLite a transaction that read before it wrote fails at once when another
                # wrote between; taking the write lock at the start lets the next run through.
                connection.execution_options(**{BEGIN_IMMEDIATE: True})
            with Session(connection, expire_on_commit=False) as session, session.begin():
                result = work(session)
            connection.info[COMMITTED] = True
            return result
