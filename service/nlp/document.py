"""Documents, sentences and findings: the values that extraction, analysis and storage exchange.

Offsets count characters of the extracted text and are half-open. Imports no model library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from service.nlp.arrays import NO_ROWS, Rows
from service.nlp.layout import Layout
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
    """The text of a document, its blocks, and its layout: parts, pages and headings.

    `blocks` are in document order and do not overlap.
    """

    text: str
    blocks: Sequence[Block]
    layout: Layout = field(default_factory=Layout)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence's span in the document's text."""

    start: int
    end: int


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
    layout: Layout = field(default_factory=Layout)
    file: SubmittedFile | None = None
    is_read: bool = True

    def sentence_texts(self) -> Sequence[str]:
        """Return the sentences verbatim, in document order. Each access slices the text again."""
        text = self.text
        return SpanSequence(offset_array(self.sentences), lambda start, end: text[start:end])

    def file_rows(self) -> Rows:
        """Return the rows of the sentences with which attachments and files of an archive begin."""
        starts = self.layout.file_starts
        if not starts:
            return NO_ROWS
        return np.searchsorted(offset_array(self.sentences)[:, 0], starts)

    def place_at(self, offset: int | None) -> Place:
        """Return where the character at `offset` is; nowhere if None."""
        if offset is None:
            return Place()
        part = self.layout.part_at(offset)
        page = part.pages.at(offset)
        heading = self.layout.heading_at(offset)
        return Place(page, part.name or None, heading, page in part.pages.by_ocr)

    def coverage(self) -> dict[str, object]:
        """Return how much was read: the coverage block of a scan."""
        return {
            "characters": len(self.text) if self.is_read else None,
            "sentences": len(self.sentences) if self.is_read else None,
            **self.layout.coverage(len(self.text)),
            "truncated": False,
        }


class Place(NamedTuple):
    """Where a finding is; see the fields of the same name in Finding."""

    page: int | None = None
    part: str | None = None
    heading: str | None = None
    ocr: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One risk type stated by one sentence.

    `score` is a calibrated probability in [0, 1], or None from an LLM or another service. `context` is the
    sentence verbatim: `text[start:end] == context`. A context from another service may have other line
    breaks; `start` and `end` are None if the text does not contain it. A risk or category outside the
    taxonomy has no key; the foreign field holds the other service's title.

    `page` counts from 1, in its part if the document has parts. `part` is the name of a sheet, slide,
    attachment or file of an archive. `heading` is the header of the column of a table cell. `ocr` says that
    the sentence was read from a picture of the page.
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
    part: str | None = None
    heading: str | None = None
    ocr: bool = False

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
