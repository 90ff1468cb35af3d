"""Finds the sentences of missed risks in another version of their document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.orm import Session

from db.tables import Feedback
from service.domain.stored_text import read_characters

Span = tuple[int, int]


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

    def find(self, row: Feedback) -> Span | None:
        """Return the span of a missed risk's sentence, ignoring white space; None if the text lacks it.

        If the text repeats the sentence, the span is that of the repetition with the same number as in the
        sentence's own document, or of the first one.
        """
        sentence = row.context or ""
        if self._document_ids[row.scan_id] == self._document_id:
            is_here = self.text[row.start : row.end] == sentence
            return (row.start, row.end) if is_here else None
        spans = _places(sentence, self.text)
        if len(spans) < 2:
            return spans[0] if spans else None
        number = self._number(row, sentence)
        return spans[number if number < len(spans) else 0]

    def _number(self, row: Feedback, sentence: str) -> int:
        """Return how many equal sentences precede this one in its own document; 0 without its text."""
        document_id = self._document_ids[row.scan_id]
        before = read_characters(self._session, document_id, start=0, end=row.end)
        return max(0, len(_places(sentence, before)) - 1)


def _places(sentence: str, text: str) -> list[Span]:
    words = [re.escape(word) for word in sentence.split()]
    return [match.span() for match in re.finditer(r"\s+".join(words), text)] if words else []
