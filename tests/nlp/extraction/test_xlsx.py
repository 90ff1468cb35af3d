"""Every place of a workbook that people read, and the form in which its values appear."""

import io
from datetime import date, datetime, time

import openpyxl
import pytest
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment

from service.errors import UnreadableDocument
from tests.support.documents import PLANTED, blocks_of
from tests.support.hostile_files import presentation, rels, sheet_xml, slide, workbook
from tests.support.office_files import repacked


def saved(book):
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def book_of(*values):
    book = openpyxl.Workbook()
    for row, value in enumerate(values, start=1):
        book.active.cell(row, 1).value = value
    return book


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Tight budget", "Tight budget"),
        (date(2026, 5, 1), "2026-05-01"),
        (datetime(2026, 5, 1, 14, 30), "2026-05-01 14:30"),  # noqa: DTZ001 - cells have no zone
        (time(9, 5), "09:05"),
        (0.1 + 0.2, "0.3"),
        (12, "12"),
        (True, "TRUE"),
        ("One.\nTwo.", "One.\nTwo."),
    ],
)
def test_xlsx_value_of_a_cell_is_shown_as_people_see_it(value, shown):
    assert "\n".join(blocks_of(saved(book_of(value)), "a.xlsx")) == shown


def test_xlsx_date_of_a_workbook_that_counts_from_1904_is_right():
    book = book_of(date(2026, 5, 1))
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    assert blocks_of(saved(book), "a.xlsx") == ["2026-05-01"]


@pytest.mark.parametrize(
    ("code", "days", "shown"),
    [
        ("[h]:mm", 1.5, "36:00"),
        ("[h]:mm:ss", 1.5, "36:00"),  # the built-in format 46
        ("[mm]:ss", 0.0625 + 5 / 86_400, "1:30:05"),
        ('"took" [h]', 4, "96:00"),
        ("[h]:mm;[Red]-[h]:mm", -0.5, "-12:00"),
        ("h:mm", 0.5, "12:00"),
        ('"[h]" yyyy', 46_143, "2026-05-01"),
        ("yyyy-mm-dd", 1, "1900-01-01"),
        ("yyyy-mm-dd", 59, "1900-02-28"),
        ("yyyy-mm-dd", 61, "1900-03-01"),
        ("yyyy-mm-dd hh:mm", 31.5, "1900-01-31 12:00"),
    ],
)
def test_xlsx_duration_or_early_date_is_shown_as_people_see_it(code, days, shown):
    book = book_of(days)
    book.active["A1"].number_format = code
    assert blocks_of(saved(book), "a.xlsx") == [shown]


def test_xlsx_escaped_characters_are_decoded():
    text = "Late_x000D_\nparts_x0009_for _x005F_x000D_ and file_x1_"
    cells = f'<c t="s"><v>0</v></c><c t="inlineStr"><is><t>{text}</t></is></c><c t="str"><v>{text}</v></c>'
    data = workbook(sheet_xml(f"<row>{cells}</row>"), strings=f"<si><t>{text}</t></si>")
    assert blocks_of(data, "a.xlsx") == ["Late", "parts\tfor _x000D_ and file_x1_"] * 3


def test_xlsx_hidden_sheet_row_and_column_are_read():
    book = book_of("Shown", "Hidden row")
    book.active.row_dimensions[2].hidden = True
    hidden = book.create_sheet("Hidden")
    hidden["A1"] = PLANTED
    hidden.sheet_state = "hidden"
    assert blocks_of(saved(book), "a.xlsx") == ["Shown", "Hidden row", PLANTED]


def test_xlsx_title_of_a_chart_is_read():
    book = book_of(1, 2)
    chart = BarChart()
    chart.title = PLANTED
    chart.add_data(Reference(book.active, min_col=1, min_row=1, max_row=2))
    book.active.add_chart(chart, "C1")
    assert PLANTED in blocks_of(saved(book), "a.xlsx")


def test_xlsx_result_of_a_formula_is_read_and_an_error_is_not():
    cells = '<c t="str"><f>A1</f><v>Late parts</v></c><c t="e"><v>#REF!</v></c>'
    assert blocks_of(workbook(sheet_xml(f"<row>{cells}</row>")), "a.xlsx") == ["Late parts"]


def test_xlsx_rich_text_is_one_block_without_its_reading():
    strings = "<si><r><t>Late </t></r><r><t>parts</t></r><rPh><t>reading</t></rPh></si>"
    data = workbook(sheet_xml('<row><c t="s"><v>0</v></c></row>'), strings=strings)
    assert blocks_of(data, "a.xlsx") == ["Late parts"]


def test_xlsx_threaded_comment_is_read_once():
    more = {
        "xl/worksheets/_rels/s0.xml.rels": rels(
            ("comments", "../comments.xml"), ("threadedComment", "../threads.xml")
        ),
        "xl/comments.xml": "<x><comment><text><t>[Threaded comment] Late</t></text></comment></x>",
        "xl/threads.xml": "<x><threadedComment><text>Late parts</text></threadedComment></x>",
    }
    assert blocks_of(workbook(sheet_xml(""), **more), "a.xlsx") == ["Late parts"]


def test_xlsx_note_beside_a_threaded_comment_is_read():
    notes = (("B2", "[Kommentarthread] Late parts"), ("C3", PLANTED))
    listed = (f'<comment ref="{at}"><text><t>{words}</t></text></comment>' for at, words in notes)
    more = {
        "xl/worksheets/_rels/s0.xml.rels": rels(
            ("comments", "../comments.xml"), ("threadedComment", "../threads.xml")
        ),
        "xl/comments.xml": f"<x>{''.join(listed)}</x>",
        "xl/threads.xml": '<x><threadedComment ref="B2"><text>Late parts</text></threadedComment></x>',
    }
    assert blocks_of(workbook(sheet_xml(""), **more), "a.xlsx") == ["Late parts", PLANTED]


@pytest.mark.parametrize(
    ("note", "read"),
    [
        (f"[Threaded comment] {PLANTED}", f"[Threaded comment] {PLANTED}"),
        (f"[Threaded comment]\n\nYour version of Excel ...\n\nComment:\n    {PLANTED}", PLANTED),
    ],
)
def test_xlsx_note_like_a_threaded_comment_is_read_if_there_is_none(note, read):
    book = book_of("Shown")
    book.active["A1"].comment = Comment(note, "Ann")
    assert blocks_of(saved(book), "a.xlsx") == ["Shown", read]


SHEET = sheet_xml(f'<row><c t="inlineStr"><is><t>{PLANTED}</t></is></c></row>')


@pytest.mark.parametrize(
    ("target", "part"),
    [
        ("worksheets\\s0.xml", "xl/worksheets/s0.xml"),
        ("worksheets/s0.xml", "xl\\worksheets\\s0.xml"),
        ("worksheets/s%200.xml", "xl/worksheets/s 0.xml"),
        ("worksheets/s%200.xml", "xl/worksheets/s%200.xml"),
        ("worksheets/s 0.xml", "xl/worksheets/s%200.xml"),
        ("/xl/Worksheets/S0.xml", "xl/worksheets/s0.xml"),
    ],
)
def test_xlsx_part_is_found_however_its_name_is_written(target, part):
    related = {"xl/_rels/workbook.xml.rels": rels(("worksheet", target))}
    data = repacked(workbook(SHEET, **related), {"xl/worksheets/s0.xml": part})
    assert blocks_of(data, "a.xlsx") == [PLANTED]


def test_xlsx_without_its_shared_strings_is_refused():
    data = workbook(sheet_xml('<row><c t="s"><v>0</v></c></row>'))
    with pytest.raises(UnreadableDocument, match="damaged"):
        blocks_of(data, "a.xlsx")


BOX = f'<x xmlns:a="urn:x"><a:p><a:r><a:t>{PLANTED}</a:t></a:r></a:p></x>'


def test_xlsx_text_box_in_a_chart_is_read():
    more = {
        "xl/worksheets/_rels/s0.xml.rels": rels(("drawing", "../drawing.xml")),
        "xl/drawing.xml": "<x/>",
        "xl/_rels/drawing.xml.rels": rels(("chart", "charts/chart.xml")),
        "xl/charts/chart.xml": "<x/>",
        "xl/charts/_rels/chart.xml.rels": rels(("chartUserShapes", "../boxes.xml")),
        "xl/boxes.xml": BOX,
        "xl/_rels/boxes.xml.rels": rels(("chartUserShapes", "boxes.xml")),
    }
    assert blocks_of(workbook(sheet_xml(""), **more), "a.xlsx") == [PLANTED]


def test_pptx_text_box_in_a_chart_is_read():
    more = {
        "ppt/slides/_rels/s0.xml.rels": rels(("chart", "../charts/chart.xml")),
        "ppt/charts/chart.xml": "<x/>",
        "ppt/charts/_rels/chart.xml.rels": rels(("chartUserShapes", "../boxes.xml")),
        "ppt/boxes.xml": BOX,
    }
    assert blocks_of(presentation(slide(""), **more), "a.pptx") == [PLANTED]
