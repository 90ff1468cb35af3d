"""The two interfaces of analyzers: one reads documents, the other scores sentences.

Imports no model library.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar, Protocol

import numpy as np

from service.errors import AnalyzerError, TooLarge
from service.nlp.arrays import NO_ROWS, Bools, Floats, Rows, Scores, row_blocks
from service.nlp.artifacts.operating_points import OperatingPoint, Sensitivity
from service.nlp.deadline import Deadline
from service.nlp.document import Analysis, Document, Finding, Source
from service.nlp.taxonomy import Taxonomy

MAX_FINDINGS = 250_000
"""Most findings in one document. Each takes 1.2 kB of memory until the response is sent."""

Progress = Callable[[int, int], None]
"""Called after each batch with the number of distinct sentences done, and their total."""


class BatchFunction(Protocol):
    """Maps each sentence of a batch to a row of floats."""

    def __call__(self, sentences: Sequence[str], *, deadline: Deadline | None) -> Floats:
        """Return float32 (len(sentences), width), rows in the order of `sentences`."""


class SentenceEncoder(Protocol):
    """Gives the meaning of sentences as vectors; those of another `model` cannot be compared with them."""

    model: str
    """SHA-256 (hex) of the model's manifest."""
    size: int

    def vectors(self, sentences: Sequence[str]) -> Floats:
        """Return float32 (len(sentences), size), each row of length 1. Runs on the caller's thread."""


class Analyzer(ABC):
    """Finds the risks that a document states.

    A failed analysis raises AnalyzerUnavailable, AnalyzerTimeout or AnalyzerError. An empty list of findings
    means that the whole document was read and states no risk.
    """

    source: ClassVar[Source]
    languages: ClassVar[frozenset[str] | None] = None
    """Languages that the analyzer reads, as ISO 639-1 codes; None if unknown."""
    takes_files: ClassVar[bool] = False
    """Whether the analyzer can use the caller's file, which `Document.file` then holds."""
    model_name: str
    model_version: str
    taxonomy: Taxonomy
    """The categories and risk types of its findings."""
    encoder: SentenceEncoder | None = None
    """Encodes sentences for search; None if the analyzer has no network of its own."""

    @abstractmethod
    def analyze(
        self,
        document: Document,
        *,
        sensitivity: Sensitivity = "balanced",
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Analysis:
        """Return every finding of `document`, in document order, then in taxonomy order.

        `sensitivity` selects an operating point; an LLM gives no scores and has only one.

        Raises:
            AnalyzerUnavailable: the analyzer is not configured or not reachable.
            AnalyzerTimeout: `deadline` passed.
            AnalyzerError: the analyzer failed or gave a malformed answer.
        """

    def is_ready(self) -> bool:
        """Return whether the analyzer can start an analysis; a remote one is not called for this."""
        return True

    def close(self) -> None:  # noqa: B027 - most analyzers have nothing to release
        """Release threads and connections; the analyzer is not used afterwards."""


class SentenceScorer(Analyzer):
    """An analyzer that scores sentences against the risk types of the taxonomy.

    A subclass implements `score_batch`. If its scores depend on neighbouring sentences, it also overrides
    `document_scores`. This class forms batches, checks the scores and applies the thresholds.
    """

    batch_size: ClassVar[int] = 256
    has_probabilities: ClassVar[bool] = True
    operating_points: Mapping[Sensitivity, OperatingPoint]

    @abstractmethod
    def score_batch(self, sentences: Sequence[str], *, deadline: Deadline | None = None) -> Scores:
        """Score sentences, each without context.

        Returns float32 (len(sentences), n_risk_types) in [0, 1], rows in the order of `sentences`.
        """

    def document_scores(
        self,
        sentences: Sequence[str],
        *,
        file_rows: Rows = NO_ROWS,  # noqa: ARG002 - for scorers whose scores depend on neighbours
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Scores]:
        """Yield the scores of one document's sentences in blocks, in document order.

        Each block is float32 (n_rows, n_risk_types) in [0, 1], at most arrays.ROWS rows. `file_rows` are
        Document.file_rows(). The default scores each sentence without context.
        """
        rows, row_of = self._distinct_scores(sentences, deadline=deadline, progress=progress)
        for block in row_blocks(len(sentences)):
            yield rows[row_of[block]]

    def decisive_scores(
        self,
        sentences: Sequence[str],
        sensitivity: Sensitivity,  # noqa: ARG002 - for scorers that save work by it
        *,
        file_rows: Rows = NO_ROWS,
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Scores]:
        """Yield what `document_scores` does, but those of sentences without a finding may be 0."""
        return self.document_scores(
            sentences, file_rows=file_rows, deadline=deadline, progress=progress
        )

    def analyze(
        self,
        document: Document,
        *,
        sensitivity: Sensitivity = "balanced",
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Analysis:
        findings: list[Finding] = []
        begin = 0
        texts = document.sentence_texts()
        for scores in self.decisive_scores(
            texts,
            sensitivity,
            file_rows=document.file_rows(),
            deadline=deadline,
            progress=progress,
        ):
            self._check(scores)
            for row, column in np.argwhere(self.decide(scores, sensitivity)).tolist():
                findings.append(self._finding(document, begin + row, column, scores[row, column]))
            begin += len(scores)
            if len(findings) > MAX_FINDINGS:
                raise TooLarge(
                    f"The document has more than {MAX_FINDINGS:,} findings, the limit. Send it in parts."
                )
        return Analysis(self.taxonomy, findings, self.source, self.model_name, self.model_version)

    def score(
        self,
        sentences: Sequence[str],
        *,
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Scores:
        """Score any number of sentences, each without context.

        Returns float32 (len(sentences), n_risk_types) in [0, 1], rows in the order of `sentences`.
        """
        rows, row_of = self._distinct_scores(sentences, deadline=deadline, progress=progress)
        self._check(rows)
        return rows[row_of]

    def score_document(
        self,
        sentences: Sequence[str],
        *,
        file_rows: Rows = NO_ROWS,
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Scores:
        """Return the scores of one document's sentences, float32 (n_sentences, n_risk_types) in [0, 1]."""
        blocks = list(
            self.document_scores(
                sentences, file_rows=file_rows, deadline=deadline, progress=progress
            )
        )
        for block in blocks:
            self._check(block)
        return np.concatenate([np.zeros((0, self._n_types), np.float32), *blocks])

    def variant_scores(
        self,
        sentences: Sequence[str],
        at: int,
        variants: Sequence[str],
        *,
        file_rows: Rows = NO_ROWS,
        deadline: Deadline | None = None,
    ) -> Scores:
        """Return the scores that sentence `at` of a document would have if it read as each variant.

        Returns float32 (len(variants), n_risk_types) in [0, 1]. The default scores the document anew for
        each variant.
        """
        rows = [
            self.score_document(
                [*sentences[:at], variant, *sentences[at + 1 :]],
                file_rows=file_rows,
                deadline=deadline,
            )[at]
            for variant in variants
        ]
        return np.array(rows, np.float32).reshape(-1, self._n_types)

    def decide(self, scores: Scores, sensitivity: Sensitivity = "balanced") -> Bools:
        """Return bool (n, n_risk_types): the risk types that sentences with these scores state."""
        return self.operating_points[sensitivity].decide(scores)

    @property
    def _n_types(self) -> int:
        return len(self.taxonomy.risk_types)

    def _distinct_scores(
        self, sentences: Sequence[str], *, deadline: Deadline | None, progress: Progress | None
    ) -> tuple[Scores, Rows]:
        return distinct_rows(
            sentences,
            self.score_batch,
            self.batch_size,
            width=self._n_types,
            deadline=deadline,
            progress=progress,
        )

    def _finding(self, document: Document, row: int, column: int, score: float) -> Finding:
        sentence, taxonomy = document.sentences[row], self.taxonomy
        return Finding(
            risk_type=taxonomy.risk_types[column],
            category=taxonomy.category_by_column[column],
            score=float(score) if self.has_probabilities else None,
            context=document.text[sentence.start : sentence.end],
            start=sentence.start,
            end=sentence.end,
            **document.place_at(sentence.start)._asdict(),
        )

    def _check(self, scores: Scores) -> None:
        """Raise AnalyzerError unless `scores` is (n, n_risk_types) in [0, 1] without NaN."""
        if scores.ndim != 2 or scores.shape[1] != self._n_types:
            raise AnalyzerError(
                f"The analyzer {self.model_name} returned scores of shape {scores.shape}, which should have "
                f"{self._n_types} columns; the scan was refused."
            )
        lowest, highest = scores.min(initial=0.0), scores.max(initial=0.0)
        if not (lowest >= 0.0 and highest <= 1.0):  # NaN fails both comparisons
            raise AnalyzerError(
                f"The analyzer {self.model_name} returned scores outside [0, 1]; the scan was refused."
            )


def distinct_rows(
    sentences: Sequence[str],
    function: BatchFunction,
    batch_size: int,
    *,
    width: int,
    deadline: Deadline | None = None,
    progress: Progress | None = None,
) -> tuple[Floats, Rows]:
    """Apply `function` to each distinct sentence once, in document order, `batch_size` at a time.

    Documents repeat sentences: page footers, table cells. `width` is that of the result without sentences.

    Returns:
        float32 (n_distinct, width): the rows that `function` returned.
        intp (len(sentences),): the row of each sentence in that array.

    Raises:
        AnalyzerTimeout: `deadline` passed between two batches.
        AnalyzerError: `function` did not return one row for each sentence.
    """
    distinct, row_of = _distinct(sentences)
    rows = np.zeros((0, width), np.float32)
    for begin in range(0, len(distinct), batch_size):
        if deadline is not None:
            deadline.check()
        batch = distinct[begin : begin + batch_size]
        batch_rows = function(batch, deadline=deadline)
        if len(batch_rows) != len(batch):
            raise AnalyzerError(
                f"The analyzer returned {len(batch_rows)} rows for {len(batch)} sentences; "
                "the scan was refused."
            )
        if begin == 0:  # the first batch shows the width
            rows = np.empty((len(distinct), batch_rows.shape[1]), np.float32)
        rows[begin : begin + len(batch)] = batch_rows
        if progress is not None:
            progress(begin + len(batch), len(distinct))
    return rows, row_of


def _distinct(sentences: Sequence[str]) -> tuple[list[str], Rows]:
    """Return the distinct sentences in document order, and the place of each sentence among them."""
    row_by_sentence: dict[str, int] = {}
    numbers = (row_by_sentence.setdefault(s, len(row_by_sentence)) for s in sentences)
    row_of = np.fromiter(numbers, np.intp, len(sentences))
    return list(row_by_sentence), row_of
