"""The scans that search reads: the words and vectors of their findings, and the words of their documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

import numpy as np
from sqlalchemy import Row
from sqlalchemy.orm import Session

from db.queries import search_index as queries
from db.queries.pages import Position
from db.queries.reach import EVERYONE
from db.queries.scans import get_scan
from db.tables import Scan
from service.domain.search.indexer import unless_gone_or_added
from service.domain.search.matrix import stored_parts
from service.domain.search.terms import Kind, stems, stored_terms
from service.domain.transactions import Transactions
from service.nlp.analyzers.base import SentenceEncoder
from service.nlp.arrays import Floats

_MAX_DOCUMENT_PIECES = 8
MAX_DOCUMENT_WORDS = 2_000
"""Different words of a document that search knows: the first ones."""
_WORD_ROWS = 1_000
_ENCODED_AT_ONCE = 256


class ScanSource:
    """Adds stored scans to the tables of search. Thread-safe."""

    name = "scan"

    def __init__(
        self,
        transactions: Transactions,
        encoder: Callable[[], SentenceEncoder | None],
        *,
        push: Callable[[UUID], None] = lambda _scan_id: None,
    ) -> None:
        """`encoder` returns that of the serving model, if it has one."""
        self._transactions = transactions
        self._encoder = encoder
        self.push = push

    def add(self, row_id: UUID) -> bool:
        """See Source."""
        scan = self._transactions.read(_get_scan, row_id)
        if scan is None:
            return False
        with unless_gone_or_added(self.name):
            self._transactions.run(_add_words, scan)
        if scan.document_id is not None:
            with unless_gone_or_added(self.name):
                self._transactions.run(_add_document_words, scan)
        encoder = self._encoder()
        if encoder is not None:
            with unless_gone_or_added(self.name):
                self._add_vectors(scan, encoder)
        return True

    def page(self, after: Position | None, *, limit: int) -> Sequence[Row[UUID, datetime, bool]]:
        """See Source."""
        encoder = self._encoder()
        model = None if encoder is None else encoder.model
        return self._transactions.read(queries.unindexed_scans, model, after=after, limit=limit)

    def count(self) -> int:
        """See Source."""
        return self._transactions.read(queries.count_scans)

    def _add_vectors(self, scan: Scan, encoder: SentenceEncoder) -> None:
        if self._transactions.read(queries.has_vectors, scan.id, encoder.model):
            return
        rows = self._transactions.read(queries.sentences, scan.id)
        if not rows:
            return
        vectors = encoded(encoder, [row.context for row in rows])
        self._transactions.run(
            queries.put_vectors,
            user_id=scan.user_id,
            scan_id=scan.id,
            model=encoder.model,
            parts=stored_parts(vectors, [row.category for row in rows]),
        )


def encoded(encoder: SentenceEncoder, texts: Sequence[str]) -> Floats:
    """Return the vectors of any number of texts, at least one, as `SentenceEncoder.vectors` does."""
    starts = range(0, len(texts), _ENCODED_AT_ONCE)
    return np.concatenate([encoder.vectors(texts[k : k + _ENCODED_AT_ONCE]) for k in starts])


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
