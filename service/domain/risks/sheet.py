"""Reads the rows of a workbook of risks. Formulas are never evaluated: a cell with one is an error."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from service.domain.risks.register_file import COLUMNS, cells
from service.domain.risks.views import RiskView
from service.errors import Fault, InvalidRequest, TooLarge, UnreadableDocument

if TYPE_CHECKING:
    from service.domain.risks.first_sheet import Cell

    Row = tuple[int, Mapping[int, Cell]]

MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_ROWS = 2_000
"""Risks in one file."""
_HEADER_ROW = 1
_MAX_COLUMNS = 4 * len(COLUMNS)
_MAX_SHOWN_CHARS = 100
"""Of the text of an ignored header."""
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    ArithmeticError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    ValueError,
)
"""What zipfile, lxml and `first_sheet` raise for damaged files."""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A row by column title: texts and numbers; `formulas` are the titles of its cells with one."""

    number: int
    values: dict[str, Any]
    formulas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows that have a value, without the header, and the texts of the header that name no column."""

    rows: Sequence[SheetRow]
    ignored_columns: Sequence[str]


def read_sheet(data: bytes) -> Sheet:
    """Return the first sheet of a workbook.

    Raises:
        TooLarge: the file, what it unpacks to, its texts or its number of rows exceed their limit.
        UnreadableDocument: the file is no workbook.
        InvalidRequest: the header names no known column, or one twice.
    """
    from service.domain.risks.first_sheet import read_first_sheet  # noqa: PLC0415 - lxml takes memory

    if len(data) > MAX_FILE_BYTES:
        raise TooLarge(f"A file of risks has at most {MAX_FILE_BYTES:,} bytes.")
    try:
        return _sheet(read_first_sheet(data, max_columns=_MAX_COLUMNS))
    except _DAMAGED as error:
        raise UnreadableDocument("This file is no workbook (.xlsx), or is damaged.") from error


def row_of(view: RiskView) -> dict[str, Any]:
    """Return the values of a risk by column title, as `read_sheet` returns them from its export."""
    return {title: _value(cell) for (title, _), cell in zip(COLUMNS, cells(view), strict=True)}


def _sheet(rows: Iterator[Row]) -> Sheet:
    number, header = next(rows, (_HEADER_ROW, {}))
    texts = {
        column: str(cell.value or "").strip()
        for column, cell in header.items()
        if number == _HEADER_ROW
    }
    titles = _titles(texts)
    filled = [*islice(_filled(rows, titles), MAX_ROWS + 1)]
    if len(filled) > MAX_ROWS:
        raise TooLarge(f"A file of risks has at most {MAX_ROWS:,} rows.")
    ignored = (text for column, text in texts.items() if text and column not in titles)
    return Sheet(filled, [text[:_MAX_SHOWN_CHARS] for text in ignored])


def _titles(texts: Mapping[int, str]) -> Mapping[int, str]:
    """Return the known titles by column."""
    known = {title.casefold(): title for title, _ in COLUMNS}
    titles = {
        column: known[text.casefold()] for column, text in texts.items() if text.casefold() in known
    }
    if not titles or len(titles) != len(set(titles.values())):
        names = ", ".join(title for title, _ in COLUMNS)
        message = f"Row 1 must name the columns, each once; known are: {names}."
        raise InvalidRequest(message, faults=(Fault("row 1", message),))
    return titles


def _filled(rows: Iterator[Row], titles: Mapping[int, str]) -> Iterator[SheetRow]:
    for number, row in rows:
        named = {title: row[column] for column, title in titles.items() if column in row}
        values = dict.fromkeys(titles.values()) | {
            title: _value(cell.value) for title, cell in named.items()
        }
        if any(value is not None for value in values.values()):
            formulas = tuple(title for title, cell in named.items() if cell.is_formula)
            yield SheetRow(number, values, formulas)


def _value(value: object) -> object:
    """Return a cell's value; None for an empty text."""
    return value.strip() or None if isinstance(value, str) else value
