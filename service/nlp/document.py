"""Documents, sentences and findings: the values that extraction, analysis and storage exchange.

Offsets count characters of the extracted text and are half-open. Imports no model library.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from service.nlp.span_sequence import SpanSequence, offset_array
from service.nlp.taxonomy import Taxonomy

Source = Literal["model", "llm"]


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, heading, bullet or cell. Sentences do not cross blocks."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ExtractedText:
    """The text of a document, its blocks and its pages.

    `blocks` are in document order and do not overlap. `page_starts` holds the offset at which each page
    begins, ascending from 0; None if the format has no pages. `pages_without_text` counts from 1.
    """

    text: str
    blocks: Sequence[Block]
    page_starts: tuple[int, ...] | None = None
    pages_without_text: tuple[int, ...] = ()

    @property
    def n_pages(self) -> int | None:
        """Number of pages, or None if the format has no pages."""
        return None if self.page_starts is None else len(self.page_starts)

    def page_at(self, offset: int) -> int | None:
        """Return the 1-based page of the character at `offset`, or None without pages.

        An empty page starts at the same offset as the next page; the last page that starts there is returned.
        """
        return bisect_right(self.page_starts, offset) if self.page_starts else None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence's span in the document's text, and the 1-based page on which it begins."""

    start: int
    end: int
    page: int | None = None


@dataclass(frozen=True, slots=True)
class SubmittedFile:
    """The caller's file, unchanged, for analyzers that take files."""

    data: bytes = field(repr=False)
    filename: str
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """Extracted text and its sentences in document order: `text[s.start:s.end]` is sentence `s`.

    `is_read` is False, and the text empty, if only the analyzer can read the file.
    """

    text: str
    sentences: Sequence[Sentence]
    n_pages: int | None = None
    pages_without_text: tuple[int, ...] = ()
    file: SubmittedFile | None = None
    is_read: bool = True

    def sentence_texts(self) -> Sequence[str]:
        """Return the sentences verbatim, in document order. Each access slices the text again."""
        text = self.text
        return SpanSequence(offset_array(self.sentences), lambda start, end: text[start:end])

    def coverage(self) -> dict[str, object]:
        """Return how much was read: the coverage block of a scan."""
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

    `score` is a calibrated probability in [0, 1], or None from an LLM or another service. `context` is the
    sentence verbatim: `text[start:end] == context`. A context from another service may have other line
    breaks; `start` and `end` are None if the text does not contain it. A risk or category outside the
    taxonomy has no key; the foreign field holds the other service's title.
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

    def titles(self, taxonomy: Taxonomy) -> tuple[str, str]:
        """Return the titles of risk type and category; the title of one that `taxonomy` lacks is its key."""
        return (
            taxonomy.risk_title(self.risk_type, self.foreign_risk),
            taxonomy.category_title(self.category, self.foreign_category),
        )

    def data_item(self, taxonomy: Taxonomy) -> dict[str, str]:
        """Return the three keys of the older contract."""
        risk, category = self.titles(taxonomy)
        return {"risk": risk, "category": category, "context": self.context}


@dataclass(frozen=True, slots=True)
class Analysis:
    """Findings in document order, and the model that found them, with its taxonomy."""

    taxonomy: Taxonomy
    findings: list[Finding] = field(default_factory=list)
    source: Source = "model"
    model_name: str = ""
    model_version: str = ""
