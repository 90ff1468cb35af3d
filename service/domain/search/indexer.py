"""Keeps search complete: a thread adds new scans and lessons after their answer; and what is missing."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.exc import IntegrityError

from db.queries.pages import Position
from service.errors import RiskscanError

MAX_WAITING = 10_000
"""Scans and lessons that wait for this thread; the next run of `catch_up` finds those beyond."""
CATCH_UP_S = 600.0
"""Interval of `catch_up`."""
_LOOKED_AT = 1_000
"""Rows that one statement of `catch_up` compares with what search has."""
_CAUGHT_UP_AT_ONCE = 5_000
_log = logging.getLogger(__name__)


class Source(Protocol):
    """One kind of stored rows that search reads: scans with their documents, or lessons."""

    name: str
    """Of one row, for logs."""
    push: Callable[[UUID], None]
    """Pushes a new row to the index service, if there is one; called after `add`."""

    def add(self, row_id: UUID) -> bool:
        """Add what search lacks of a row; return whether it was still stored. Several threads may do it.

        Raises:
            DatabaseUnavailable: see Transactions.run.
        """

    def page(self, after: Position | None, *, limit: int) -> Sequence[Row[UUID, datetime, bool]]:
        """Return id, created_at and `is_missing` of up to `limit` rows, newest first, past `after`."""

    def count(self) -> int:
        """Return the number of all rows."""


class SearchIndexer:
    """Adds the rows of its sources to the tables of search. Thread-safe, also among processes."""

    def __init__(self, scans: Source, lessons: Source) -> None:
        self._scans, self._lessons = scans, lessons
        self._waiting: deque[tuple[Source, UUID]] = deque(maxlen=MAX_WAITING)
        self._changed = threading.Condition()
        self._is_closing = False
        self._is_idle = True
        self._oldest_seen: dict[Source, Position] = {}
        self._thread = threading.Thread(target=self._run, name="search-index", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer_scan(self, scan_id: UUID) -> None:
        """Let the thread add a scan that is stored; never waits, never raises."""
        self._offer(self._scans, scan_id)

    def offer_lesson(self, lesson_id: UUID) -> None:
        """Let the thread add a lesson that was created or changed; never waits, never raises."""
        self._offer(self._lessons, lesson_id)

    def join(self) -> None:
        """Return when the thread has nothing left to add."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_idle and not self._waiting)

    def close(self) -> None:
        """End the thread after its current row; `catch_up` finds the rest after the next start."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def catch_up(self) -> int:
        """Add rows that search lacks, newest first, then older ones at each further run; return how many.

        Search lacks rows from before it was installed or restored, of another model, and of processes that
        ended early.
        """
        n_added = 0
        for source in (self._scans, self._lessons):
            for row_id in self._lacking(source, None, at_most=_LOOKED_AT):
                n_added += self._added(source, row_id)
            after = self._oldest_seen.get(source)
            for row_id in self._lacking(source, after, at_most=_CAUGHT_UP_AT_ONCE, remember=True):
                n_added += self._added(source, row_id)
        return n_added

    def reindex(self, progress: Callable[[int, int], None]) -> int:
        """Add everything that search lacks; return how many rows lacked something.

        `progress` receives how many of all rows were compared.
        """
        sources = (self._scans, self._lessons)
        n_all = sum(source.count() for source in sources)
        n_added = n_seen = 0
        for source in sources:
            for row in _rows(source, None):
                if row.is_missing:
                    n_added += self._added(source, row.id)
                n_seen += 1
                progress(n_seen, max(n_all, n_seen))
        return n_added

    def _added(self, source: Source, row_id: UUID) -> bool:
        """Add a row; log a failure of this row alone, so that the next ones follow."""
        try:
            return source.add(row_id)
        except RiskscanError:
            raise
        except Exception as error:  # noqa: BLE001 - one row must not keep others from being added
            _log.error("search: a %s was not added: %s", source.name, type(error).__name__)
            return False

    def _lacking(
        self, source: Source, after: Position | None, *, at_most: int, remember: bool = False
    ) -> Iterator[UUID]:
        """Yield rows that search lacks among `at_most` after a position."""
        n_seen = 0
        for n_seen, row in enumerate(_rows(source, after), start=1):
            if self._is_closing:
                return
            if row.is_missing:
                yield row.id
            if remember:
                self._oldest_seen[source] = (row.created_at, row.id)
            if n_seen == at_most:
                return
        if remember:
            self._oldest_seen.pop(source, None)  # the next run begins again with the newest

    def _offer(self, source: Source, row_id: UUID) -> None:
        with self._changed:
            self._waiting.append((source, row_id))
            self._changed.notify_all()

    def _run(self) -> None:
        while (waiting := self._next()) is not None:
            source, row_id = waiting
            try:
                if source.add(row_id):
                    source.push(row_id)
            except RiskscanError as error:
                _log.warning("search: a %s is added later: %s", source.name, error.message)
            except Exception as error:  # noqa: BLE001 - the edge of the thread, which must survive any error
                _log.error("search: a %s was not added: %s", source.name, type(error).__name__)

    def _next(self) -> tuple[Source, UUID] | None:
        with self._changed:
            self._is_idle = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            if self._is_closing:
                return None
            self._is_idle = False
            return self._waiting.popleft()


@contextlib.contextmanager
def unless_gone_or_added(name: str) -> Iterator[None]:
    """Ignore that a row was deleted meanwhile, or that another process adds it too."""
    try:
        yield
    except IntegrityError:
        _log.debug("search: a %s was deleted, or another process added it", name)


def _rows(source: Source, after: Position | None) -> Iterator[Any]:
    """Yield id, created_at and `is_missing` of all rows past a position, newest first."""
    while rows := source.page(after, limit=_LOOKED_AT):
        yield from rows
        after = (rows[-1].created_at, rows[-1].id)
