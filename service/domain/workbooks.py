"""Workbooks that are written row by row to temporary files, so memory does not grow with them.

Every text is a string cell, which no program evaluates.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from service.domain.report_logs import Chunk
from service.domain.temporary_files import file_chunks, storing

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_CELL_UNITS = 32_767
"""Excel's limit in units of UTF-16; a longer text ends with a note."""
MAX_ROWS = 1_048_576
"""Excel's limit for one sheet."""
_CUT = " […] (cut here: a cell has no room for more)"
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


class Book:
    """A workbook in the making, with its two styles."""

    def __init__(self, workbook: Workbook) -> None:
        self.workbook: Any = workbook
        self.bold = workbook.add_format({"bold": True})
        self.cell = workbook.add_format({"text_wrap": True, "valign": "top"})

    def table(self, name: str, columns: Sequence[tuple[str, int]]) -> Table:
        """Add a sheet with a table; `columns` are titles and widths in characters."""
        return Table(self, name, columns)

    def write(self, sheet: Worksheet, row: int, column: int, value: object, style: Format) -> None:
        """Write a value; a text is always a string cell, and None an empty one."""
        if value is None or value == "":
            return
        if isinstance(value, str):
            sheet.write_string(row, column, _fitting(value), style)
        else:
            sheet.write_number(row, column, value, style)


class Table:
    """Rows under a header, on as many sheets as they need; MAX_ROWS fit on one."""

    def __init__(self, book: Book, name: str, columns: Sequence[tuple[str, int]]) -> None:
        self._book = book
        self._name = name
        self._columns = columns
        self._n_sheets = 0
        self._begin()

    def add(self, values: Sequence[object]) -> None:
        """Write the next row."""
        if self._next_row == MAX_ROWS:
            self._begin()
        for column, value in enumerate(values):
            self._book.write(self._sheet, self._next_row, column, value, self._book.cell)
        self._next_row += 1

    def _begin(self) -> None:
        self._n_sheets += 1
        name = self._name if self._n_sheets == 1 else f"{self._name} {self._n_sheets}"
        self._sheet = self._book.workbook.add_worksheet(name)
        for column, (title, width) in enumerate(self._columns):
            self._sheet.set_column(column, column, width)
            self._book.write(self._sheet, 0, column, title, self._book.bold)
        self._sheet.freeze_panes(1, 0)
        self._next_row = 1


def workbook_chunks(fill: Callable[[Book], int]) -> Iterator[Chunk]:
    """Let `fill` write a workbook and return its number of rows, then yield the bytes.

    Raises:
        StorageUnavailable, TooLarge: see `storing`.
    """
    with storing(), tempfile.TemporaryDirectory(prefix="riskscan-report-") as folder:
        path = Path(folder) / "book.xlsx"
        with Workbook(str(path), {**_OPTIONS, "tmpdir": folder}) as workbook:
            n_rows = fill(Book(workbook))
        yield from file_chunks(path, n_rows)


def _fitting(text: str) -> str:
    """Return a text that fits in a cell."""
    units = text.encode("utf-16-le")
    if len(units) <= 2 * MAX_CELL_UNITS:
        return text
    room = 2 * (MAX_CELL_UNITS - len(_CUT))
    return units[:room].decode("utf-16-le", "ignore") + _CUT
