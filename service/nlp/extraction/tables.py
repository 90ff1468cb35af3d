"""Adds tables row by row: each cell's paragraphs are blocks, with the header of their column as heading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from service.nlp.extraction.paragraphs import find_blocks
from service.nlp.extraction.text_builder import NO_HEADING, TextBuilder
from service.nlp.span import Span

_MAX_HEADER_CHARS = 60
_SENTENCE_END = (".", "!", "?", ";", ",")


class Table:
    """A table under construction.

    The first row with two or more cells that hold text is the header if each of these is short, has a letter,
    ends no sentence, and differs from the others. Its cells have no heading themselves.
    """

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._rows: dict[int, int] | None = (
            None  # heading row by column, once the header is decided
        )

    def add(self, row: Sequence[str]) -> None:
        """Add the cells of the columns 0, 1, and so on, joined by tabs."""
        self._add(list(enumerate(row)))

    def add_filled(self, cells: Iterable[tuple[int, str]]) -> None:
        """Add cells with their columns, joined by tabs; blank cells are left out."""
        filled = [(column, text) for column, text in cells if text]
        if filled:
            self._add(filled)

    def _add(self, cells: list[tuple[int, str]]) -> None:
        spans: list[Span] = []
        headings: list[int] = []
        known = self._rows or {}
        self._builder.check_room(
            sum(len(cell) + 1 for _, cell in cells) - 1
        )  # before the slower search
        at = 0
        for column, cell in cells:
            for a, b in [(0, len(cell))] if cell.isalnum() else find_blocks(cell):
                spans.append((at + a, at + b))
                headings.append(known.get(column, NO_HEADING))
            at += len(cell) + 1
        self._builder.add_blocks("\t".join(cell for _, cell in cells), spans, headings=headings)
        if self._rows is None:
            self._rows = self._header([(c, text.strip()) for c, text in cells if text.strip()])

    def _header(self, cells: list[tuple[int, str]]) -> dict[int, int] | None:
        """Return the heading rows if these cells are a header, {} if no header can follow, else None."""
        if len(cells) < 2:
            return None
        if not all(map(_is_label, (text for _, text in cells))):
            return {}
        if len({text.casefold() for _, text in cells}) < len(cells):
            return {}
        return {column: self._builder.heading_row(text) for column, text in cells}


def _is_label(text: str) -> bool:
    return (
        len(text) <= _MAX_HEADER_CHARS
        and not text.endswith(_SENTENCE_END)
        and any(map(str.isalpha, text))
    )
