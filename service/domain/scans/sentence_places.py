"""Finds the sentences of missed risks in another version of their document."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import chain, islice, takewhile
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries.documents import list_text
from db.tables import Feedback
from service.nlp.quotations import QuotableText
from service.nlp.span import Span


class SentencePlaces:
    """Where sentences of earlier scans are in the text of a document."""

    def __init__(
        self,
        session: Session,
        document_id: UUID,
        text: str | None,
        *,
        document_ids: Mapping[UUID, UUID],
    ) -> None:
        """`text` is None if it is unknown; `document_ids` has the document of each earlier scan."""
        self.text = text or ""
        self._session = session
        self._document_id = document_id
        self._document_ids = document_ids
        self._last: tuple[UUID, QuotableText] | None = None

    def find(self, row: Feedback) -> Span | None:
        """Return the span of a missed risk's sentence, ignoring white space; None if the text lacks it.

        If the text repeats the sentence, the span is that of the repetition with the same number as in the
        sentence's own document, or of the first one.
        """
        sentence = row.context or ""
        if self._document_ids[row.scan_id] == self._document_id:
            is_here = self.text[row.start : row.end] == sentence
            return (row.start, row.end) if is_here else None
        spans = self._quotable.spans(sentence)
        first, second = next(spans, None), next(spans, None)
        if second is None:
            return first
        number = self._number(row, sentence)
        return next(islice(chain((first, second), spans), number, None), first)

    @cached_property
    def _quotable(self) -> QuotableText:
        return QuotableText(self.text)

    def _number(self, row: Feedback, sentence: str) -> int:
        """Return how many equal sentences precede this one in its own document; 0 without its text."""
        spans = self._earlier(self._document_ids[row.scan_id]).spans(sentence)
        n_until = sum(1 for _ in takewhile(lambda span: span[1] <= row.end, spans))
        return max(0, n_until - 1)

    def _earlier(self, document_id: UUID) -> QuotableText:
        """Return the text of another version; it is kept for the rows that follow from the same one."""
        if self._last is None or self._last[0] != document_id:
            pieces = list_text(self._session, document_id)
            self._last = document_id, QuotableText("".join(piece.text for piece in pieces))
        return self._last[1]
