"""Reads the rows of a workbook of risks. Formulas are never evaluated: a cell with one is an error."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO
from typing import Any

from service.domain.risks.register_file import COLUMNS, cells
from service.domain.risks.views import RiskView
from service.errors import Fault, InvalidRequest, TooLarge, UnreadableDocument

MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_ROWS = 2_000
"""Risks in one file."""
_MAX_UNPACKED_BYTES = 20 * 1024 * 1024
_MAX_ENTRIES = 200
_HEADER_ROW = 1
_MAX_COLUMNS = 4 * len(COLUMNS)
_MAX_SHOWN_CHARS = 100
"""Of the text of an ignored header."""
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What openpyxl raises for damaged files."""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A row by column title: texts, numbers and dates; `formulas` are the titles of its cells with one."""

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
        TooLarge: the file, what it unpacks to, or the number of rows exceeds its limit.
        UnreadableDocument: the file is no workbook.
        InvalidRequest: the header names no known column, or one twice.
    """
    from openpyxl import load_workbook  # noqa: PLC0415 - takes memory, and only an import needs it

    if len(data) > MAX_FILE_BYTES:
        raise TooLarge(f"A file of risks has at most {MAX_FILE_BYTES:,} bytes.")
    try:
        _check_size(data)
        book = load_workbook(BytesIO(data), read_only=True, data_only=False, keep_links=False)
        try:
            return _sheet(book.worksheets[0])
        finally:
            book.close()
    except _DAMAGED as error:
        raise UnreadableDocument("This file is no workbook (.xlsx), or is damaged.") from error


def row_of(view: RiskView) -> dict[str, Any]:
    """Return the values of a risk by column title, as `read_sheet` returns them from its export."""
    return {title: _value(cell) for (title, _), cell in zip(COLUMNS, cells(view), strict=True)}


def _check_size(data: bytes) -> None:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        entries = archive.infolist()
        size_bytes = sum(entry.file_size for entry in entries)
    if len(entries) > _MAX_ENTRIES or size_bytes > _MAX_UNPACKED_BYTES:
        raise TooLarge(f"The workbook unpacks to more than {_MAX_UNPACKED_BYTES:,} bytes.")


def _sheet(sheet: Any) -> Sheet:  # noqa: ANN401 - openpyxl has no annotations
    sheet.reset_dimensions()
    cells = sheet.iter_rows(max_row=_HEADER_ROW + MAX_ROWS + 1, max_col=_MAX_COLUMNS)
    texts = [str(cell.value or "").strip() for cell in next(cells, ())]
    titles = _titles(texts)
    rows = [*_filled(cells, titles)]
    if len(rows) > MAX_ROWS:
        raise TooLarge(f"A file of risks has at most {MAX_ROWS:,} rows.")
    ignored = (text for text, title in zip(texts, titles, strict=True) if text and not title)
    return Sheet(rows, [text[:_MAX_SHOWN_CHARS] for text in ignored])


def _titles(texts: Sequence[str]) -> list[str | None]:
    known = {title.casefold(): title for title, _ in COLUMNS}
    titles = [known.get(text.casefold()) for text in texts]
    named = [title for title in titles if title]
    if not named or len(named) != len(set(named)):
        names = ", ".join(title for title, _ in COLUMNS)
        message = f"Row 1 must name the columns, each once; known are: {names}."
        raise InvalidRequest(message, faults=(Fault("row 1", message),))
    return titles


def _filled(cells: Iterator[tuple[Any, ...]], titles: list[str | None]) -> Iterator[SheetRow]:
    for number, row in enumerate(cells, start=_HEADER_ROW + 1):
        named = {title: cell for title, cell in zip(titles, row, strict=False) if title}
        values = {title: _value(_unescaped(cell.value)) for title, cell in named.items()}
        if any(value is not None for value in values.values()):
            formulas = tuple(title for title, cell in named.items() if cell.data_type == "f")
            yield SheetRow(number, values, formulas)


def _unescaped(value: object) -> object:
    """Return a text with the characters that XML cannot hold, which workbooks write as `_x000D_`."""
    from openpyxl.utils.escape import unescape  # noqa: PLC0415 - as in `read_sheet`

    return unescape(value) if isinstance(value, str) else value


def _value(value: object) -> object:
    """Return a cell's value, with a number without a fraction as int; None for an empty cell."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, (int, float, date)):
        return value
    return str(value)
