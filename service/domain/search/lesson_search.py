"""Searches lessons by their words, by their meaning, and with the index service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import search_lessons as queries
from db.queries.search_lessons import LessonReach, ShownLesson
from db.tables import TopicKind
from service.domain.search.candidates import CANDIDATES
from service.domain.search.fusion import fused
from service.domain.search.lesson_vectors import LessonVectors, Passage
from service.domain.search.terms import Kind, stems, wanted_terms
from service.domain.search.values import FoundLesson, Hit, Meaning, Meant, Question, Reader, Way
from service.nlp.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class FoundLessons:
    """Lessons, best first, and whether any in reach has a word of the question.

    `meaning` is None if there is no lesson in reach.
    """

    hits: Sequence[Hit]
    meaning: Meaning | None = None
    words_occur: bool = False


def lessons_in_reach(reader: Reader, question: Question, taxonomy: Taxonomy) -> LessonReach:
    """Return the lessons that the reader sees and the question asks for."""
    if question.category is None:
        return LessonReach(reader.courses)
    topics = [(TopicKind.CATEGORY, question.category)]
    for category in taxonomy.categories:
        if category.key == question.category:
            topics += [(TopicKind.RISK_TYPE, risk.key) for risk in category.risk_types]
    return LessonReach(reader.courses, topics)


class LessonSearch:
    """Searches the lessons in a reach. Thread-safe."""

    def __init__(self) -> None:
        self._vectors = LessonVectors()

    def find(
        self,
        session: Session,
        reach: LessonReach,
        question: Question,
        meant: Meant | None,
        indexed: Sequence[UUID],
    ) -> FoundLessons:
        """Return the best lessons; all conditions of the reach apply before anything is ranked.

        `indexed` is what the index service finds. Lessons beyond the reach, and rows of other kinds, are
        dropped from it before it takes a rank.
        """
        n_all = queries.count_lessons(session, reach)
        if n_all == 0:
            return FoundLessons([])
        near, n_searched = self._near(session, reach, meant)
        terms = wanted_terms(Kind.LESSON, [None], stems(question.text))
        allowed = queries.lessons_at(session, reach, indexed)
        by_words = queries.lessons_by_words(session, terms, reach, limit=CANDIDATES)
        ranked: dict[str, Sequence[UUID]] = {
            Way.WORDS: by_words,
            Way.MEANING: list(near),
            Way.INDEX: [row_id for row_id in indexed if row_id in allowed],
        }
        merged = fused(ranked)[: question.limit]
        rows = queries.lessons_at(session, reach, [row_id for row_id, _, _ in merged])
        hits = [
            _hit(rows[row_id], score, ways, near.get(row_id), question)
            for row_id, score, ways in merged
            if row_id in rows
        ]
        return FoundLessons(hits, _extent(n_searched, n_all), bool(by_words))

    def _near(
        self, session: Session, reach: LessonReach, meant: Meant | None
    ) -> tuple[Mapping[UUID, Passage], int]:
        if meant is None:
            return {}, 0
        model, vector = meant.encoder.model, meant.vector
        return self._vectors.nearest(session, reach, model, vector, limit=CANDIDATES)


def _extent(n_searched: int, n_all: int) -> Meaning:
    if n_searched == 0:
        return Meaning.NONE
    return Meaning.ALL if n_searched >= n_all else Meaning.PART


def _hit(
    row: ShownLesson, score: float, ways: Sequence[str], near: Passage | None, question: Question
) -> Hit:
    words = frozenset(stems(question.text)) if Way.WORDS in ways else frozenset()
    found = FoundLesson(row.lesson, row.course, _snippet(row.passages[1:], words, near))
    similarity = None if near is None else near.similarity
    return Hit(Kind.LESSON, score, ways, lesson=found, similarity=similarity)


def _snippet(texts: Sequence[str], words: frozenset[str], near: Passage | None) -> str:
    """Return the text with most of the words, or among several the nearest by meaning, or the first."""
    nearest = -1 if near is None else near.n - 1  # passage 0 is the title

    def fitness(n: int) -> tuple[int, bool]:
        return len(words & set(stems(texts[n]))) if words else 0, n == nearest

    return texts[max(range(len(texts)), key=fitness)] if texts else ""
