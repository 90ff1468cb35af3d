"""The values of search: what is asked, for whom, and what is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from db.queries.findings import Viewer
from db.queries.reach import Reach
from db.tables import Course, CourseStatus, Document, Lesson
from service.domain.search.listing import ListedFinding
from service.domain.search.terms import Kind
from service.nlp.analyzers.base import SentenceEncoder
from service.nlp.arrays import Floats


class Meaning(StrEnum):
    """Which findings and lessons were searched by meaning."""

    ALL = "all"
    PART = "part"
    """Some have no vector of the serving model yet, or there are too many scans of others."""
    NONE = "none"
    """None has a vector yet, or no model runs in this process: only words were searched."""


class Way(StrEnum):
    """How a result was found."""

    WORDS = "words"
    MEANING = "meaning"
    INDEX = "index"
    """The index service found it."""


class IndexService(StrEnum):
    """Whether the index service of INDEXER_URL took part in a search."""

    USED = "used"
    UNAVAILABLE = "unavailable"
    """It did not answer, or not in time, or not as it should: the local index answered alone."""
    OFF = "off"
    """INDEXER_URL is empty, or neither documents nor lessons were searched."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched: `limit` results at most of `kinds`.

    With a category, these are findings of it, and lessons of courses about it or one of its risk types.
    """

    text: str
    kinds: frozenset[Kind]
    limit: int
    category: str | None = None


@dataclass(frozen=True, slots=True)
class FoundDocument:
    """A document and the id of its newest scan, on whose page its findings are."""

    document: Document
    newest_scan: UUID


@dataclass(frozen=True, slots=True)
class FoundLesson:
    """A lesson with its course, and the part of its text that fits the question best."""

    lesson: Lesson
    course: Course
    snippet: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A finding, document or lesson: its sum of reciprocal ranks, and the cosine of meanings if near."""

    kind: Kind
    score: float
    ways: Sequence[str]
    finding: ListedFinding | None = None
    document: FoundDocument | None = None
    lesson: FoundLesson | None = None
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The best results, best first.

    `words_occur` says whether the local index has a word of the question; None if no words were given.
    """

    hits: Sequence[Hit]
    meaning: Meaning
    index_service: IndexService = IndexService.OFF
    words_occur: bool | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """What is searched, and for whom."""

    reach: Reach
    viewer: Viewer
    courses: frozenset[CourseStatus] = frozenset()
    """The reader sees the lessons of courses with one of these statuses."""
    user_id: UUID | None = None
    """The caller; without one, the index service is not asked."""


@dataclass(frozen=True, slots=True)
class Meant:
    """The vector of a text, of length 1, and what made it."""

    encoder: SentenceEncoder
    vector: Floats
