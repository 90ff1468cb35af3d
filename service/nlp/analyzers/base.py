"""What an analyzer is: values (Document, Finding) and the two abstract classes of all analyzers.

Imports no model library; each of those is imported inside the class that needs it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from service.errors import AnalyzerError, AnalyzerTimeout, TooLarge
from service.nlp.arrays import row_blocks
from service.nlp.artifacts.operating_points import OperatingPoint, Sensitivity
from service.nlp.spans import Spans, offsets_of
from service.nlp.taxonomy import RISK_TYPES, category_of, category_title, risk_title

MAX_FINDINGS = 250_000
"""Most findings of one document. Each takes 1.2 kB of the service's memory until the answer is sent."""

Source = Literal["model", "llm"]
Scores = npt.NDArray[np.float32]
Decisions = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]
Progress = Callable[[int, int], None]
"""Called after each batch with the numbers of different sentences done and in all."""


class Read(Protocol):
    """Sentences in, a row of float32 for each out."""

    def __call__(self, sentences: Sequence[str], *, deadline: Deadline | None) -> Scores:
        """Return float32 (len(sentences), any width), rows in the order given."""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, heading, bullet or cell: half-open character offsets into the extracted text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ExtractedText:
    """What extraction read of a document: its text, the blocks in it, and where each page begins.

    `blocks` are in document order and do not overlap. `page_starts` holds the offset at which each
    page begins, ascending, the first 0; None where the format has no pages. Pages count from 1.
    """

    text: str
    blocks: Sequence[Block]
    page_starts: tuple[int, ...] | None = None
    pages_without_text: tuple[int, ...] = ()

    @property
    def n_pages(self) -> int | None:
        """Number of pages, or None where the format has no pages."""
        return None if self.page_starts is None else len(self.page_starts)

    def page_at(self, offset: int) -> int | None:
        """Return the 1-based page that holds the character at `offset`, None without pages.

        Empty pages share their start with the next one; the last page that begins there has the
        character.
        """
        return bisect_right(self.page_starts, offset) if self.page_starts else None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A span of the document's text: half-open character offsets, 1-based page it begins on."""

    start: int
    end: int
    page: int | None = None


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file as the caller sent it, for an analyzer that takes files."""

    data: bytes = field(repr=False)
    filename: str
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """Extracted text cut into sentences, in document order: `text[s.start:s.end]` is sentence `s`.

    `is_read` is False if only the analyzer can read the file; the text is empty then.
    """

    text: str
    sentences: Sequence[Sentence]
    n_pages: int | None = None
    pages_without_text: tuple[int, ...] = ()
    file: SentFile | None = None
    is_read: bool = True

    def sentence_texts(self) -> Sequence[str]:
        """Return the sentences verbatim, in document order; each access slices the text again."""
        text = self.text
        return Spans(offsets_of(self.sentences), lambda start, end: text[start:end])

    def coverage(self) -> dict[str, object]:
        """Return what was seen: the block stored with each scan."""
        return {
            "characters": len(self.text) if self.is_read else None,
            "sentences": len(self.sentences) if self.is_read else None,
            "pages": self.n_pages,
            "pages_without_text": list(self.pages_without_text),
            "truncated": False,
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """One risk type stated by one sentence.

    `score` is a calibrated probability in [0, 1], or None where the analyzer gives none (an LLM).
    `context` is the sentence verbatim: `text[start:end] == context`, offsets in characters. Another
    service may break lines elsewhere; if the text does not contain its context, `start` and `end` are None.
    A risk or category outside the taxonomy has no key; it has the other service's title instead.
    """

    risk_type: str | None
    category: str | None
    score: float | None
    context: str
    start: int | None
    end: int | None
    page: int | None
    foreign_risk: str | None = None
    foreign_category: str | None = None

    @property
    def risk(self) -> str:
        """Title of the risk."""
        return risk_title(self.risk_type, self.foreign_risk)

    @property
    def category_title(self) -> str:
        """Title of the category."""
        return category_title(self.category, self.foreign_category)


RAISE_THE_LIMIT = (
    "ask the operator to raise AI_TIMEOUT_S and the time-out of the proxy in front together"
)
"""How an HTTP caller gets more time for a scan."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The deadline of a scan, in seconds on the monotonic clock.

    `remedy` tells the caller how to get more time.
    """

    at_s: float
    budget_s: float
    remedy: str = RAISE_THE_LIMIT

    @classmethod
    def after(cls, budget_s: float, *, remedy: str = RAISE_THE_LIMIT) -> Deadline:
        """Return the deadline `budget_s` seconds from now."""
        return cls(time.monotonic() + budget_s, budget_s, remedy)

    def remaining_s(self) -> float:
        """Return the seconds left, zero when none are."""
        return max(0.0, self.at_s - time.monotonic())

    def check(self) -> None:
        """Raise AnalyzerTimeout when the moment has passed."""
        if self.remaining_s() == 0.0:
            raise self.error("The scan")

    def error(self, slow: str) -> AnalyzerTimeout:
        """Return the error for a step `slow` that took too long, with the remedies."""
        return AnalyzerTimeout(
            f"{slow} did not end within {self.budget_s:g} s. Split the document, or {self.remedy}."
        )


@dataclass(frozen=True, slots=True)
class Analysis:
    """Findings in document order, with who found them."""

    findings: list[Finding] = field(default_factory=list)
    source: Source = "model"
    model_name: str = ""
    model_version: str = ""


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

    def decide(self, scores: Scores, sensitivity: Sensitivity = "balanced") -> Decisions:
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
