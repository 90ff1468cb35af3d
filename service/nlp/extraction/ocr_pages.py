"""Puts the text that OCR read into a document, at the beginning of its pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from service.nlp.arrays import Offsets
from service.nlp.document import Block, ExtractedText
from service.nlp.extraction.paragraphs import find_blocks
from service.nlp.extraction.text_builder import NO_HEADING, storable
from service.nlp.layout import Headings, Layout, Part
from service.nlp.span_sequence import SpanSequence, offset_array


def with_pages(extracted: ExtractedText, pages: Mapping[tuple[int, int], str]) -> ExtractedText:
    """Return the document with the text of `pages`, by the number of their part, from 0, and page, from 1.

    Pages whose text has no word stay without text.
    """
    read = {place: text for place, text in pages.items() if find_blocks(text)}
    if not read:
        return extracted
    merger = _Merger(extracted)
    parts = tuple(
        merger.add(number, part, read) for number, part in enumerate(extracted.layout.parts)
    )
    return merger.merged(parts)


class _Merger:
    """Copies a document from its beginning, and inserts pages on the way."""

    def __init__(self, extracted: ExtractedText) -> None:
        self._source = extracted
        self._offsets = offset_array(extracted.blocks)
        self._texts: list[str] = []
        self._copied = 0  # characters of the source
        self._added = 0  # characters of inserted pages
        self._blocks: list[tuple[int, int]] = []  # of inserted pages
        self._shifts: list[tuple[int, int]] = []  # offset in the source, characters inserted there

    def add(self, number: int, part: Part, read: Mapping[tuple[int, int], str]) -> Part:
        """Insert the pages of a part; return the part at its new place."""
        starts: list[int] = []
        start = part.start + self._added
        for page, at in enumerate(part.pages.starts, start=1):
            starts.append(at + self._added)
            if (number, page) in read:
                self._insert(at, storable(read[number, page]).rstrip() + "\n")
        by_ocr = tuple(page for page in part.pages.without_text if (number, page) in read)
        missing = tuple(page for page in part.pages.without_text if page not in by_ocr)
        pages = replace(part.pages, starts=tuple(starts), without_text=missing, by_ocr=by_ocr)
        return replace(part, start=start, pages=pages)

    def _insert(self, at: int, text: str) -> None:
        self._texts.append(self._source.text[self._copied : at])
        self._copied = at
        begin = at + self._added
        self._texts.append(text)
        self._blocks += [(begin + a, begin + b) for a, b in find_blocks(text)]
        self._shifts.append((at, len(text)))
        self._added += len(text)

    def merged(self, parts: tuple[Part, ...]) -> ExtractedText:
        """Return the whole document."""
        text = "".join([*self._texts, self._source.text[self._copied :]])
        inserted = np.array(self._blocks, np.int64).reshape(-1, 2)
        offsets = np.concatenate([self._shifted(), inserted])
        order = np.argsort(offsets[:, 0], kind="stable")
        offsets = offsets[order]
        headings = self._source.layout.headings
        if headings is not None:
            none = np.full(len(inserted), NO_HEADING, np.int32)
            rows = np.concatenate([headings.rows, none])[order]
            headings = Headings(headings.names, np.ascontiguousarray(offsets[:, 0]), rows)
        return ExtractedText(text, SpanSequence(offsets, Block), Layout(parts, headings))

    def _shifted(self) -> Offsets:
        """Return the blocks of the source at their new places."""
        at, lengths = (np.array(column, np.int64) for column in zip(*self._shifts, strict=True))
        sums = np.concatenate([[0], np.cumsum(lengths)])
        moved = sums[np.searchsorted(at, self._offsets[:, 0], side="right")]
        shifted: Offsets = self._offsets + moved[:, None]
        return shifted
