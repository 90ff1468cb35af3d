"""Reads the cells of a workbook's first worksheet. Formulas are never evaluated.

A file of some kilobytes can hold millions of elements, so what is parsed and copied is bounded here.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import IO

from lxml import etree  # type: ignore[import-untyped]  # ships no types

from service.domain.zip_methods import BOUNDED
from service.errors import TooLarge, UnreadableDocument
from service.nlp.extraction.excel_dates import DateStyles, read_date_styles
from service.nlp.extraction.inflation import InflationBudget
from service.nlp.extraction.office_package import OfficePackage, clear, main_part, opened, unescaped
from service.nlp.extraction.xlsx import WORKBOOK, cells_of, rich_text, shared_strings, sheets

_MAX_UNPACKED_BYTES = 20 * 1024 * 1024
_MAX_ENTRIES = 200
_MAX_MARKS = 1_000_000
"""Tags and attributes, for each of which lxml takes up to 200 bytes. An export of 2,000 risks has 310,000,
and 370,000 once Excel has saved it."""
_MAX_CHARS = 20 * 1024 * 1024
"""Of all cells, since any number of them can have the same shared text."""
_DATE_CHARS = 10
_BLOCK_BYTES = 65_536
_REMEDY = "Copy the rows of the risks into a new workbook, and send that."


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell has: a text, a number or nothing; a date is a text such as 2027-03-31."""

    value: str | int | float | None
    is_formula: bool = False


def read_first_sheet(data: bytes, *, max_columns: int) -> Iterator[tuple[int, Mapping[int, Cell]]]:
    """Yield the number of each row with its cells by column; both count from 1.

    Raises:
        TooLarge: the workbook unpacks to too many bytes, tags or characters.
        UnreadableDocument: it is damaged, encrypted, unusually compressed, has a DTD or no worksheet.
    """
    _check_size(data)
    with opened(data, title="workbook", inflation=InflationBudget()) as package:
        book = main_part(package, WORKBOOK)
        related = package.relationships(book)
        listed, is_1904 = sheets(package, book, related)
        worksheets = {part.target for part in related.values() if part.kind == "worksheet"}
        name = next((name for _, name in listed if name in worksheets), None)
        if name is None:
            raise UnreadableDocument("The workbook has no worksheet.")
        dates = read_date_styles(package, related, is_1904=is_1904)
        reader = _CellReader(shared_strings(package, related), dates)
        for number, row in _rows(package, name):
            cells = ((column, cell) for column, cell in cells_of(row) if column <= max_columns)
            yield number, {column: reader.cell(cell) for column, cell in cells}


def _check_size(data: bytes) -> None:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        entries = archive.infolist()
        size_bytes = sum(entry.file_size for entry in entries)
        if len(entries) > _MAX_ENTRIES:
            raise TooLarge(f"The workbook has more than {_MAX_ENTRIES} parts. {_REMEDY}")
        if size_bytes > _MAX_UNPACKED_BYTES:
            raise TooLarge(
                f"The workbook unpacks to more than {_MAX_UNPACKED_BYTES:,} bytes. {_REMEDY}"
            )
        if any(entry.compress_type not in BOUNDED for entry in entries):
            raise UnreadableDocument(
                f"A part of the workbook is compressed by another method than Deflate. {_REMEDY}"
            )
        if sum(_count_marks(archive, entry) for entry in entries) > _MAX_MARKS:
            raise TooLarge(
                f"The workbook has more than {_MAX_MARKS:,} XML tags and attributes. {_REMEDY}"
            )


def _count_marks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """Return an upper bound of the tags and attributes in a part that is UTF-8 or UTF-16."""
    n_tags = n_quotes = 0
    with archive.open(entry) as part:
        for block in _blocks(part):
            n_tags += block.count(b"<")
            n_quotes += block.count(b'"') + block.count(b"'")
    return n_tags + n_quotes // 2


def _blocks(part: IO[bytes]) -> Iterator[bytes]:
    # Without a length, zipfile inflates all before it cuts to the declared size: 2 MB take 2 GB.
    while block := part.read(_BLOCK_BYTES):
        yield block


def _rows(package: OfficePackage, name: str) -> Iterator[tuple[int, etree._Element]]:
    number = 0
    for row in package.ended(name, "{*}row"):
        number = int(float(row.get("r", number + 1)))
        yield number, row
        clear(row)


class _CellReader:
    def __init__(self, strings: Sequence[str], dates: DateStyles) -> None:
        self._strings = strings
        self._dates = dates
        self._left_chars = _MAX_CHARS

    def cell(self, cell: etree._Element) -> Cell:
        if next(cell.iterchildren("{*}f"), None) is not None:
            return Cell("=", is_formula=True)
        if cell.get("t") == "inlineStr":
            return Cell(self._text(rich_text(cell)))
        value = next((v.text for v in cell.iterchildren("{*}v")), None)
        return Cell(self._value(cell, value) if value else None)

    def _value(self, cell: etree._Element, value: str) -> str | int | float:
        kind = cell.get("t", "n")
        if kind == "s":
            return self._text(self._strings[int(value)])
        if kind == "d":
            return value[:_DATE_CHARS]
        if kind == "b":
            return bool(int(value))
        return self._number(value, cell.get("s", "0")) if kind == "n" else self._text(value)

    def _number(self, value: str, style: str) -> str | int | float:
        if int(style) in self._dates.styles:
            return self._dates.text(value, style)[:_DATE_CHARS]
        number = float(value)
        return int(number) if number.is_integer() else number

    def _text(self, text: str) -> str:
        self._left_chars -= len(text)
        if self._left_chars < 0:
            raise TooLarge(f"The cells of the workbook have more than {_MAX_CHARS:,} characters.")
        return unescaped(text)
