"""Documents, sentences and findings: the values that extraction, analysis and storage pass on.

Offsets are characters of the extracted text, half-open. Imports no model library.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from service.nlp.span_sequence import SpanSequence, offsets_of
from service.nlp.taxonomy import category_title, risk_title

Source = Literal["model", "llm"]


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
        return SpanSequence(offsets_of(self.sentences), lambda start, end: text[start:end])

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


@dataclass(frozen=True, slots=True)
class Analysis:
    """Findings in document order, with who found them."""

    findings: list[Finding] = field(default_factory=list)
    source: Source = "model"
    model_name: str = ""
    model_version: str = ""
