"""The vectors of lessons' passages in memory, and the exact search for the nearest."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from sqlalchemy import Row
from sqlalchemy.orm import Session

from db.queries import search_lessons as queries
from db.queries.search_lessons import LessonReach
from service.domain.search.matrix import Bytes, cosines, scales_of
from service.nlp.arrays import Floats

_MAX_KEPT = 8
"""Sets of lessons that a process keeps: those of learners and of authors, and some narrowed by category."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage by its number in the lesson, from 0, and its cosine with the question."""

    n: int
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class _Passages:
    """The vectors of the passages of lessons, int8 (n, size); `begins` has the first row of each lesson."""

    rows: Bytes
    scales: Floats
    lessons: Sequence[UUID]
    begins: Sequence[int]


class LessonVectors:
    """An LRU cache of the vectors in a reach by a model. Thread-safe.

    Each search reads which lessons are in reach, so it compares no vector of another lesson or version.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, tuple[tuple[UUID, int], ...]], _Passages] = OrderedDict()

    def nearest(
        self, session: Session, reach: LessonReach, model: str, vector: Floats, *, limit: int
    ) -> tuple[dict[UUID, Passage], int]:
        """Return up to `limit` lessons in reach by their nearest passage, best first.

        Returns also how many lessons in reach have vectors.
        """
        passages = self._get(session, reach, model, len(vector))
        similarities = cosines(passages.rows, passages.scales, vector)
        nearest: dict[UUID, Passage] = {}
        for row in np.argsort(-similarities, kind="stable").tolist():
            k = bisect_right(passages.begins, row) - 1
            found = Passage(row - passages.begins[k], float(similarities[row]))
            nearest.setdefault(passages.lessons[k], found)
            if len(nearest) == limit:
                break
        return nearest, len(passages.lessons)

    def _get(self, session: Session, reach: LessonReach, model: str, size: int) -> _Passages:
        key = (model, tuple(queries.with_vectors(session, reach, model)))
        with self._lock:
            passages = self._kept.get(key)
        if passages is None:
            rows = queries.read_vectors(session, reach, model)
            passages = _joined(rows, size)
            key = (model, tuple((row.lesson_id, row.version) for row in rows))
        with self._lock:
            self._kept[key] = passages
            self._kept.move_to_end(key)
            if len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
        return passages


def _joined(stored: Sequence[Row[UUID, int, bytes]], size: int) -> _Passages:
    blocks = [np.frombuffer(row.vectors, np.int8).reshape(-1, size) for row in stored]
    rows = np.concatenate([np.zeros((0, size), np.int8), *blocks])
    begins = np.cumsum([0, *(len(block) for block in blocks)])[:-1].tolist()
    return _Passages(rows, scales_of(rows), [row.lesson_id for row in stored], begins)
