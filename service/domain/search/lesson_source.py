"""The lessons that search reads: their passages, with words and vectors."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Row

from db.queries import search_lessons as queries
from db.queries.lessons import get_lesson
from db.queries.pages import Position
from service.domain.markdown import plain_blocks
from service.domain.search.indexer import unless_gone_or_added
from service.domain.search.matrix import quantized
from service.domain.search.scan_source import encoded
from service.domain.search.terms import Kind, stems, stored_terms
from service.domain.transactions import Transactions
from service.nlp.analyzers.base import SentenceEncoder

MAX_PASSAGE_CHARS = 300
"""Two or three sentences: the vector of a longer text says less about each of them."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class LessonSource:
    """Adds lessons to the table of search, in place of their earlier versions. Thread-safe."""

    name = "lesson"

    def __init__(
        self,
        transactions: Transactions,
        encoder: Callable[[], SentenceEncoder | None],
        *,
        push: Callable[[UUID], None] = lambda _lesson_id: None,
    ) -> None:
        """`encoder` returns that of the serving model, if it has one."""
        self._transactions = transactions
        self._encoder = encoder
        self.push = push

    def add(self, row_id: UUID) -> bool:
        """See Source."""
        lesson = self._transactions.read(get_lesson, row_id)
        if lesson is None:
            return False
        encoder = self._encoder()
        model = None if encoder is None else encoder.model
        if self._transactions.read(queries.is_known, lesson, model):
            return True
        texts = passages(lesson.title, lesson.source)
        with unless_gone_or_added(self.name):
            self._transactions.run(
                queries.put_lesson,
                lesson,
                passages=texts,
                words=stored_terms(Kind.LESSON, None, stems(" ".join(texts))),
                model=model,
                vectors=None if encoder is None else quantized(encoded(encoder, texts)).tobytes(),
            )
        return True

    def page(self, after: Position | None, *, limit: int) -> Sequence[Row[UUID, datetime, bool]]:
        """See Source."""
        encoder = self._encoder()
        model = None if encoder is None else encoder.model
        return self._transactions.read(queries.unindexed_lessons, model, after=after, limit=limit)

    def count(self) -> int:
        """See Source."""
        return self._transactions.read(queries.count_all_lessons)


def passages(title: str, source: str) -> list[str]:
    """Return the title of a lesson, then its text without markup in parts of up to MAX_PASSAGE_CHARS."""
    result = [" ".join(title.split())]
    begun = ""
    for sentence in _sentences(source):
        if begun and len(begun) + 1 + len(sentence) > MAX_PASSAGE_CHARS:
            result.append(begun)
            begun = ""
        begun = f"{begun} {sentence}".lstrip()
    return [*result, begun] if begun else result


def _sentences(source: str) -> Iterator[str]:
    for block in plain_blocks(source):
        for sentence in _SENTENCE_END.split(block):
            yield from textwrap.wrap(sentence, MAX_PASSAGE_CHARS)
