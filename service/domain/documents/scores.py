"""The serving model's scores of any sentence of a stored document, and the words that carry them.

Each sentence is scored among its neighbours, as in a scan, but none leaves the network early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from sqlalchemy.orm import Session

from db import tables
from db.queries import documents as queries
from db.queries.reach import Reach
from service.domain.document_storage import document_layout, partial_text
from service.domain.documents.documents import require_text
from service.domain.transactions import Transactions
from service.errors import Fault, InvalidRequest, NotConfigured
from service.nlp.analyzers.base import SentenceScorer
from service.nlp.analyzers.explanation import Explanation, explain
from service.nlp.arrays import Rows
from service.nlp.artifacts.operating_points import Sensitivity, risk_scores
from service.nlp.deadline import Deadline
from service.nlp.document import Document, Sentence
from service.nlp.inference.neighbour_context import RADIUS
from service.nlp.layout import Layout
from service.nlp.pipeline import ScanPipeline
from service.nlp.span_sequence import offset_array

MAX_SENTENCES = 20
"""Most sentences in one answer."""
_MARGIN_CHARS = 10_000
"""Text around the range that is read too; it holds the neighbours that influence a sentence."""


@dataclass(frozen=True, slots=True)
class TypeScore:
    """The score of a sentence for one risk type; `is_reported` says whether a scan reports it."""

    risk_type: str
    score: float
    threshold: float
    is_reported: bool


@dataclass(frozen=True, slots=True)
class SentenceScores:
    """A sentence with its span, its probability of stating any risk, and its score for each risk type."""

    start: int
    end: int
    context: str
    risk_score: float
    scores: tuple[TypeScore, ...]


@dataclass(frozen=True, slots=True)
class ScoredRange:
    """The sentences of a range, at most MAX_SENTENCES, and the model that scored them.

    A sentence states a risk if its risk score reaches `risk_threshold`.
    """

    model: str
    risk_threshold: float
    sentences: tuple[SentenceScores, ...]


@dataclass(frozen=True, slots=True)
class ExplainedSentence:
    """A sentence's span in the document, and how its words change its score for a risk type."""

    model: str
    start: int
    end: int
    context: str
    explanation: Explanation


class DocumentScores:
    """Scores sentences of stored texts; each method reads the database before it borrows the model.

    All methods raise NotFound if the document is not in reach or its text is not stored, InvalidRequest if
    the range has no sentence, NotConfigured if another service analyzes, and what analyzers raise.
    """

    def __init__(
        self, transactions: Transactions, pipeline: Callable[[], ScanPipeline], *, timeout_s: float
    ) -> None:
        self._transactions = transactions
        self._pipeline = pipeline
        self._timeout_s = timeout_s

    def score(
        self,
        reach: Reach,
        document_id: UUID,
        start: int,
        end: int,
        *,
        sensitivity: Sensitivity,
    ) -> ScoredRange:
        """Score the first MAX_SENTENCES sentences that overlap start..end."""
        near = self._read_neighbourhood(reach, document_id, start, end)
        with self._scorer() as scorer:
            scores = scorer.score_document(
                near.texts(), file_rows=near.file_rows, deadline=self._deadline()
            )[near.at]
            point, hits = scorer.operating_points[sensitivity], scorer.decide(scores, sensitivity)
            risks, types = risk_scores(scores), scorer.taxonomy.risk_types
            sentences = tuple(
                SentenceScores(
                    *near.place(sentence),
                    float(risk),
                    tuple(
                        map(TypeScore, types, row.tolist(), point.thresholds.tolist(), hit.tolist())
                    ),
                )
                for sentence, risk, row, hit in zip(near.wanted(), risks, scores, hits, strict=True)
            )
            return ScoredRange(_name(scorer), point.risk_threshold, sentences)

    def explain(
        self, reach: Reach, document_id: UUID, start: int, end: int, *, risk_type: str
    ) -> ExplainedSentence:
        """Explain the score for `risk_type` of the first sentence that overlaps start..end.

        Raises:
            InvalidRequest: the sentence is too long, too.
        """
        near = self._read_neighbourhood(reach, document_id, start, end)
        with self._scorer() as scorer:
            column = scorer.taxonomy.columns[risk_type]
            why = explain(
                scorer,
                near.texts(),
                near.at.start,
                column,
                file_rows=near.file_rows,
                deadline=self._deadline(),
            )
            return ExplainedSentence(_name(scorer), *near.place(near.wanted()[0]), why)

    def _read_neighbourhood(
        self, reach: Reach, document_id: UUID, start: int, end: int
    ) -> _Neighbourhood:
        """Return the range's sentences; read the whole text if a long block hides where they begin."""
        for margin in (_MARGIN_CHARS, None):
            pieces, layout = self._transactions.read(
                _pieces, reach, document_id, start, end, margin=margin
            )
            document = self._pipeline().segment(partial_text(pieces))
            base = pieces[0].start if pieces else 0
            near = _neighbourhood(document, base, start, end, file_starts=layout.file_starts)
            if near is not None:
                return near
        message = "There is no sentence in this range of the text; send the span of a sentence."
        raise InvalidRequest(message, faults=(Fault("start", message),))

    @contextmanager
    def _scorer(self) -> Iterator[SentenceScorer]:
        with self._pipeline().analyzers.lend() as analyzer:
            if not isinstance(analyzer, SentenceScorer):
                raise NotConfigured(
                    "Only the local model gives scores, and another service analyzes documents: the operator "
                    "has set AI_SERVICE_URL."
                )
            yield analyzer

    def _deadline(self) -> Deadline:
        return Deadline.after(self._timeout_s)


@dataclass(frozen=True, slots=True)
class _Neighbourhood:
    """Sentences of a text that begins at `base`; those at `at` are wanted, the others neighbours.

    Another file of an archive or e-mail begins with each of those in `file_rows`.
    """

    document: Document
    base: int
    sentences: Sequence[Sentence]
    at: slice
    file_rows: Rows

    def texts(self) -> list[str]:
        return [self.document.text[s.start : s.end] for s in self.sentences]

    def wanted(self) -> Sequence[Sentence]:
        return self.sentences[self.at]

    def place(self, sentence: Sentence) -> tuple[int, int, str]:
        text = self.document.text[sentence.start : sentence.end]
        return sentence.start + self.base, sentence.end + self.base, text


def _pieces(
    session: Session,
    reach: Reach,
    document_id: UUID,
    start: int,
    end: int,
    *,
    margin: int | None,
) -> tuple[Sequence[tables.DocumentText], Layout]:
    layout = document_layout(require_text(session, reach, document_id))
    if margin is None:
        return queries.list_text(session, document_id), layout
    around = {"start": max(0, start - margin), "end": end + margin}
    return queries.list_text(session, document_id, **around), layout


def _neighbourhood(
    document: Document, base: int, start: int, end: int, *, file_starts: Sequence[int]
) -> _Neighbourhood | None:
    """Return the sentences that overlap start..end with their neighbours; None if there are none."""
    offsets = offset_array(document.sentences) + base
    first = int(np.searchsorted(offsets[:, 1], start, "right"))
    last = min(int(np.searchsorted(offsets[:, 0], end)), first + MAX_SENTENCES)
    if first >= last:
        return None
    begin = max(0, first - RADIUS)
    near = slice(begin, last + RADIUS)
    sentences = [*document.sentences[near]]
    file_rows = np.searchsorted(offsets[near, 0], file_starts)
    return _Neighbourhood(document, base, sentences, slice(first - begin, last - begin), file_rows)


def _name(scorer: SentenceScorer) -> str:
    return f"{scorer.model_name}/{scorer.model_version}"
