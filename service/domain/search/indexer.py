"""Keeps search complete: adds the words and vectors of each stored scan on a thread, after its answer."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.queries import search_index as queries
from db.queries.reach import EVERYONE
from db.queries.scans import get_scan
from db.tables import Scan
from service.domain.search.matrix import stored_parts
from service.domain.search.terms import Kind, stems, stored_terms
from service.domain.transactions import Transactions
from service.errors import RiskscanError
from service.nlp.analyzers.base import SentenceEncoder
from service.nlp.analyzers.pool import AnalyzerPool

MAX_WAITING = 10_000
"""Scans that wait for this thread; the next run of `catch_up` finds those beyond."""
CATCH_UP_S = 600.0
"""Interval of `catch_up`."""
_LOOKED_AT = 1_000
"""Scans that one statement of `catch_up` compares with what search has."""
_CAUGHT_UP_AT_ONCE = 5_000
_MAX_DOCUMENT_PIECES = 8
MAX_DOCUMENT_WORDS = 2_000
"""Different words of a document that search knows: the first ones."""
_WORD_ROWS = 1_000
_ENCODED_AT_ONCE = 256
_log = logging.getLogger(__name__)


class SearchIndexer:
    """Adds scans to the tables of search. Thread-safe; several processes may add the same scan."""

    def __init__(
        self,
        transactions: Transactions,
        analyzers: Callable[[], AnalyzerPool],
        *,
        on_added: Callable[[UUID], None] = lambda _scan_id: None,
    ) -> None:
        """`on_added` receives each new scan on the thread, after its words and vectors were added."""
        self._transactions = transactions
        self._on_added = on_added
        self._analyzers = analyzers
        self._waiting: deque[UUID] = deque(maxlen=MAX_WAITING)
        self._changed = threading.Condition()
        self._is_closing = False
        self._is_idle = True
        self._oldest_seen: tuple[datetime, UUID] | None = None
        self._thread = threading.Thread(target=self._run, name="search-index", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, scan_id: UUID) -> None:
        """Let the thread add a scan that is stored; never waits, never raises."""
        with self._changed:
            self._waiting.append(scan_id)
            self._changed.notify_all()

    def join(self) -> None:
        """Return when the thread has nothing left to add."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_idle and not self._waiting)

    def close(self) -> None:
        """End the thread after its current scan; `catch_up` finds the rest after the next start."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def add(self, scan_id: UUID) -> bool:
        """Add what search lacks of a scan; return whether it was still stored.

        Raises:
            DatabaseUnavailable: see Transactions.run.
        """
        scan = self._transactions.read(_get_scan, scan_id)
        if scan is None:
            return False
        with self._unless_gone_or_added():
            self._transactions.run(_add_words, scan)
        if scan.document_id is not None:
            with self._unless_gone_or_added():
                self._transactions.run(_add_document_words, scan)
        encoder = self._encoder()
        if encoder is not None:
            with self._unless_gone_or_added():
                self._add_vectors(scan, encoder)
        return True

    def catch_up(self) -> int:
        """Add scans that search lacks, newest first, then older ones at each further run; return how many.

        Search lacks scans from before it was installed or restored, of another model, and of processes that
        ended early.
        """
        n_added = 0
        for scan_id in self._lacking(None, at_most=_LOOKED_AT):
            n_added += self._added(scan_id)
        for scan_id in self._lacking(self._oldest_seen, at_most=_CAUGHT_UP_AT_ONCE, remember=True):
            n_added += self._added(scan_id)
        return n_added

    def reindex(self, progress: Callable[[int, int], None]) -> int:
        """Add everything that search lacks; return how many scans lacked something.

        `progress` receives how many of all scans were compared.
        """
        n_all = self._transactions.read(queries.count_scans)
        n_added = 0
        for n_seen, row in enumerate(self._scans(None), start=1):
            if row.is_missing:
                n_added += self._added(row.id)
            progress(n_seen, max(n_all, n_seen))
        return n_added

    def _added(self, scan_id: UUID) -> bool:
        """Add a scan as `add` does; log a failure of this scan alone, so that the next ones follow."""
        try:
            return self.add(scan_id)
        except RiskscanError:
            raise
        except Exception as error:  # noqa: BLE001 - one scan must not keep others from being added
            _log.error("search: a scan was not added: %s", type(error).__name__)
            return False

    def _lacking(
        self, after: tuple[datetime, UUID] | None, *, at_most: int, remember: bool = False
    ) -> Iterator[UUID]:
        """Yield scans that search lacks among `at_most` after a position."""
        n_seen = 0
        for n_seen, row in enumerate(self._scans(after), start=1):
            if self._is_closing:
                return
            if row.is_missing:
                yield row.id
            if remember:
                self._oldest_seen = (row.created_at, row.id)
            if n_seen == at_most:
                return
        if remember:
            self._oldest_seen = None  # the next run begins again with the newest

    def _scans(self, after: tuple[datetime, UUID] | None) -> Iterator[Any]:
        """Yield id, time and `is_missing` of all scans after a position, newest first."""
        encoder = self._encoder()
        model = None if encoder is None else encoder.model
        while rows := self._transactions.read(
            queries.unindexed_scans, model, after=after, limit=_LOOKED_AT
        ):
            yield from rows
            after = (rows[-1].created_at, rows[-1].id)

    def _encoder(self) -> SentenceEncoder | None:
        with self._analyzers().lend() as analyzer:
            return analyzer.encoder

    def _add_vectors(self, scan: Scan, encoder: SentenceEncoder) -> None:
        if self._transactions.read(queries.has_vectors, scan.id, encoder.model):
            return
        rows = self._transactions.read(queries.sentences, scan.id)
        if not rows:
            return
        texts = [row.context for row in rows]
        blocks = [
            encoder.vectors(texts[k : k + _ENCODED_AT_ONCE])
            for k in range(0, len(texts), _ENCODED_AT_ONCE)
        ]
        categories = [row.category for row in rows]
        self._transactions.run(
            queries.put_vectors,
            user_id=scan.user_id,
            scan_id=scan.id,
            model=encoder.model,
            parts=stored_parts(np.concatenate(blocks), categories),
        )

    @contextlib.contextmanager
    def _unless_gone_or_added(self) -> Iterator[None]:
        """Ignore that the scan was deleted meanwhile, or that another process adds it too."""
        try:
            yield
        except IntegrityError:
            _log.debug("search: a scan was deleted, or another process added it")

    def _run(self) -> None:
        while (scan_id := self._next()) is not None:
            try:
                if self.add(scan_id):
                    self._on_added(scan_id)
            except RiskscanError as error:
                _log.warning("search: a scan is added later: %s", error.message)
            except Exception as error:  # noqa: BLE001 - the edge of the thread, which must survive any error
                _log.error("search: a scan was not added: %s", type(error).__name__)

    def _next(self) -> UUID | None:
        with self._changed:
            self._is_idle = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            if self._is_closing:
                return None
            self._is_idle = False
            return self._waiting.popleft()


def _get_scan(session: Session, scan_id: UUID) -> Scan | None:
    return get_scan(session, scan_id, EVERYONE)


def _add_words(session: Session, scan: Scan) -> None:
    if scan.n_findings == 0 or queries.has_words(session, scan.id):
        return
    terms = partial(stored_terms, Kind.FINDING, scan.user_id)
    rows = [
        {"scan_id": scan.id, "n": row.n, "document_id": None, "words": terms(stems(row.context))}
        for row in queries.sentences(session, scan.id)
    ]
    for k in range(0, len(rows), _WORD_ROWS):
        queries.add_words(session, rows[k : k + _WORD_ROWS])


def _add_document_words(session: Session, scan: Scan) -> None:
    if scan.document_id is None or queries.has_document_words(session, scan.document_id):
        return
    name, pieces = queries.document_text(session, scan.document_id, max_pieces=_MAX_DOCUMENT_PIECES)
    words = dict.fromkeys(stems(name))
    for piece in pieces:
        if len(words) >= MAX_DOCUMENT_WORDS:
            break
        words |= dict.fromkeys(stems(piece))
    listed = list(words)[:MAX_DOCUMENT_WORDS]
    terms = stored_terms(Kind.DOCUMENT, scan.user_id, listed)
    row = {"scan_id": None, "n": 0, "document_id": scan.document_id, "words": terms}
    queries.add_words(session, [row])
