"""Analyzers: the two abstract classes that every analyzer implements.

Imports no model library; each of those is imported inside the class that needs it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar, Protocol

import numpy as np

from service.errors import AnalyzerError, TooLarge
from service.nlp.arrays import Bools, Rows, Scores, row_blocks
from service.nlp.artifacts.operating_points import OperatingPoint, Sensitivity
from service.nlp.deadline import Deadline
from service.nlp.document import Analysis, Document, Finding, Source
from service.nlp.taxonomy import RISK_TYPES, category_of

MAX_FINDINGS = 250_000
"""Most findings of one document. Each takes 1.2 kB of the service's memory until the answer is sent."""

Progress = Callable[[int, int], None]
"""Called after each batch with the numbers of different sentences done and in all."""


class Read(Protocol):
    """Sentences in, a row of float32 for each out."""

    def __call__(self, sentences: Sequence[str], *, deadline: Deadline | None) -> Scores:
        """Return float32 (len(sentences), any width), rows in the order given."""


class Analyzer(ABC):
    """Finds the risks that a document states.

    A failed analysis raises (AnalyzerUnavailable, AnalyzerTimeout, AnalyzerError); an empty list
    means that the document was read whole and states no risk.
    """

    source: ClassVar[Source]
    languages: ClassVar[frozenset[str] | None] = None
    """Codes (ISO 639-1) of the languages that it reads; None if unknown."""
    takes_files: ClassVar[bool] = False
    """Whether a document should carry the caller's file."""
    model_name: str
    model_version: str

    @abstractmethod
    def analyze(
        self,
        document: Document,
        *,
        sensitivity: Sensitivity = "balanced",
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Analysis:
        """Return every finding of `document`, in document order, then by taxonomy order.

        `sensitivity` names an operating point; an LLM, which gives no scores, has but one.

        Raises:
            AnalyzerUnavailable: the analyzer is not configured or not reachable.
            AnalyzerTimeout: `deadline` passed.
            AnalyzerError: the analyzer failed or gave a malformed answer.
        """

    def is_ready(self) -> bool:
        """Return whether the next analysis can begin; an analyzer elsewhere is asked only then."""
        return True

    def close(self) -> None:  # noqa: B027 - most analyzers have nothing to release
        """Release threads and connections; the analyzer is not used afterwards."""


class SentenceScorer(Analyzer):
    """An analyzer that scores sentences one by one against the taxonomy's risk types.

    Subclasses implement `score_batch`; order, splitting and the checks are in this class only. An analyzer
    whose scores depend on neighbouring sentences overrides `document_scores` too.
    """

    batch_size: ClassVar[int] = 256
    has_probabilities: ClassVar[bool] = True
    operating_points: Mapping[Sensitivity, OperatingPoint]

    @abstractmethod
    def score_batch(self, sentences: Sequence[str], *, deadline: Deadline | None = None) -> Scores:
        """Return float32 (len(sentences), n_risk_types) in [0, 1], rows in the order given."""

    def score(
        self,
        sentences: Sequence[str],
        *,
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Scores:
        """Score any number of sentences, each by itself.

        Returns float32 (len(sentences), n_risk_types) in [0, 1], rows in the order given.
        """
        rows, row_of = self._of_different(
            sentences, self._checked_batch, deadline=deadline, progress=progress
        )
        return rows[row_of]

    def document_scores(
        self,
        sentences: Sequence[str],
        *,
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Scores]:
        """Yield the scores of one document's sentences, in its order, row_blocks.ROWS sentences at a time.

        Each array is float32 (n_rows, n_risk_types) in [0, 1]. An analyzer whose
        scores depend on neighbouring sentences overrides this.
        """
        rows, row_of = self._of_different(
            sentences, self._checked_batch, deadline=deadline, progress=progress
        )
        for block in row_blocks(len(sentences)):
            yield rows[row_of[block]]

    def score_document(
        self,
        sentences: Sequence[str],
        *,
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Scores:
        """Return the scores of one document's sentences, float32 (n_sentences, n_risk_types) in [0, 1]."""
        blocks = self.document_scores(sentences, deadline=deadline, progress=progress)
        return np.concatenate([np.zeros((0, len(RISK_TYPES)), np.float32), *blocks])

    def decide(self, scores: Scores, sensitivity: Sensitivity = "balanced") -> Bools:
        """Return bool (n, n_risk_types): which types sentences of these scores state."""
        return self.operating_points[sensitivity].decide(scores)

    def _of_different(
        self,
        sentences: Sequence[str],
        read: Read,
        *,
        deadline: Deadline | None,
        progress: Progress | None,
    ) -> tuple[Scores, Rows]:
        """Return the output of `read` for each distinct sentence, and for each sentence its row there.

        A sentence that the document repeats (a footer, a cell) is read once. The distinct sentences are
        read in document order, in batches of `batch_size`.
        """
        row_by_sentence: dict[str, int] = {}
        places = (row_by_sentence.setdefault(s, len(row_by_sentence)) for s in sentences)
        row_of = np.fromiter(places, np.intp, len(sentences))
        different = list(row_by_sentence)
        del row_by_sentence, places  # of a book 8 MB
        rows = np.zeros((0, len(RISK_TYPES)), np.float32)
        for begin in range(0, len(different), self.batch_size):
            if deadline is not None:
                deadline.check()
            batch = slice(begin, begin + self.batch_size)
            read_rows = read(different[batch], deadline=deadline)
            if begin == 0:  # what is read tells how wide the rows are
                rows = np.empty((len(different), read_rows.shape[1]), np.float32)
            rows[batch] = read_rows
            if progress is not None:
                progress(min(batch.stop, len(different)), len(different))
        return rows, row_of

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
        for scores in self.document_scores(texts, deadline=deadline, progress=progress):
            for row, k in np.argwhere(self.decide(scores, sensitivity)).tolist():
                findings.append(self._finding(document, begin + row, k, scores[row, k]))
            begin += len(scores)
            if len(findings) > MAX_FINDINGS:
                raise TooLarge(
                    f"The document has more than {MAX_FINDINGS:,} findings, the limit. Send it in parts."
                )
        return Analysis(findings, self.source, self.model_name, self.model_version)

    def _finding(self, document: Document, row: int, column: int, score: float) -> Finding:
        sentence, risk_type = document.sentences[row], RISK_TYPES[column]
        return Finding(
            risk_type=risk_type,
            category=category_of(risk_type),
            score=float(score) if self.has_probabilities else None,
            context=document.text[sentence.start : sentence.end],
            start=sentence.start,
            end=sentence.end,
            page=sentence.page,
        )

    def _checked_batch(self, sentences: Sequence[str], *, deadline: Deadline | None) -> Scores:
        return self._checked(self.score_batch(sentences, deadline=deadline), len(sentences))

    def _checked(self, batch: Scores, n_rows: int) -> Scores:
        if batch.shape != (n_rows, len(RISK_TYPES)):
            raise AnalyzerError(
                f"The analyzer {self.model_name} answered with scores of shape {batch.shape} "
                f"where {(n_rows, len(RISK_TYPES))} was due; the scan was refused."
            )
        lowest, highest = batch.min(initial=0.0), batch.max(initial=0.0)
        if not (lowest >= 0.0 and highest <= 1.0):  # NaN fails both comparisons
            raise AnalyzerError(
                f"The analyzer {self.model_name} answered with scores outside [0, 1]; "
                "the scan was refused."
            )
        return batch
