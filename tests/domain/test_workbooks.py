"""Workbooks: text that does not fit in a cell, rows that do not fit on a sheet, and a full disk."""

import io
import resource
import tempfile

import pytest
from openpyxl import load_workbook

from service.domain import workbooks
from service.domain.workbooks import MAX_CELL_UNITS, workbook_chunks
from service.errors import StorageUnavailable


def built(*rows):
    def fill(book):
        table = book.table("Rows", (("Text", 10),))
        for row in rows:
            table.add(row)
        return len(rows)

    chunks = [*workbook_chunks(fill)]
    assert sum(n for n, _ in chunks) == len(rows)
    return load_workbook(io.BytesIO(b"".join(block for _, block in chunks)))


@pytest.mark.parametrize("letter", ["x", "\U0001f535"])
def test_text_that_does_not_fit_is_cut_and_says_so(letter):
    n_units = len(letter.encode("utf-16-le")) // 2
    whole, cut = letter * (MAX_CELL_UNITS // n_units), letter * MAX_CELL_UNITS + letter
    sheet = built([whole], [cut]).active
    assert sheet["A2"].value == whole
    assert sheet["A3"].value.endswith("(cut here: a cell has no room for more)")
    assert len(sheet["A3"].value.encode("utf-16-le")) // 2 in {MAX_CELL_UNITS, MAX_CELL_UNITS - 1}


def test_rows_that_do_not_fit_continue_on_another_sheet(monkeypatch):
    monkeypatch.setattr(workbooks, "MAX_ROWS", 3)
    book = built(*([n] for n in range(5)))
    values = {sheet.title: [row[0].value for row in sheet.rows] for sheet in book}
    assert values == {
        "Rows": ["Text", 0, 1],
        "Rows 2": ["Text", 2, 3],
        "Rows 3": ["Text", 4],
    }


def test_temporary_folder_that_cannot_be_written_is_reported(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(StorageUnavailable):
        built(["x"])


def test_memory_does_not_grow_with_the_rows():
    built(*(["x" * 100] for _ in range(10)))
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def fill(book):
        table = book.table("Rows", (("Text", 10),))
        for n in range(50_000):
            table.add([f"{n} " + "x" * 1000])
        return 0

    size_bytes = sum(len(block) for _, block in workbook_chunks(fill))
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    assert size_bytes > 200_000
    assert grown_kb < 20_000
