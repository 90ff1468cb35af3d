"""Forms, comments, columns, tables, rotated words and long sentences of PDF files."""

import zlib

import pytest
from fpdf import FPDF

from service.errors import UnreadableDocument
from service.nlp.extraction.extractor import Extractor
from tests.support.documents import (
    PLANTED,
    blocks_of,
    limits,
    pdf_annotated,
    pdf_of_pages,
    pdf_with_content,
    prose,
)

BOX = {"Type": "/Annot", "Rect": [50, 50, 300, 80]}
FIELD = BOX | {"Subtype": "/Widget", "T": "field"}


def note(kind, **entries):
    return BOX | {"Subtype": f"/{kind}"} | entries


@pytest.mark.parametrize(
    "annotation",
    [
        note("FreeText", Contents=PLANTED, DA="/Helv 12 Tf"),
        note("Text", Contents=PLANTED),
        note("Highlight", Contents=PLANTED, QuadPoints=[50, 80, 300, 80, 50, 50, 300, 50]),
        note("Popup", Contents=PLANTED),
        note("Stamp", Contents=PLANTED),
        FIELD | {"FT": "/Tx", "V": PLANTED},
        FIELD | {"FT": "/Tx", "Ff": 4096, "V": f"One more line.\r\r{PLANTED}"},
        FIELD | {"FT": "/Ch", "Ff": 1 << 17, "Opt": ["Other", PLANTED], "V": PLANTED},
        FIELD | {"FT": "/Ch", "Ff": 1 << 17, "Opt": [["a", "A"], ["b", PLANTED]], "V": "b"},
        FIELD | {"FT": "/Ch", "Ff": 3 << 17, "Opt": ["Other"], "V": PLANTED},
        FIELD | {"FT": "/Ch", "Ff": 1 << 21, "Opt": ["Other", PLANTED], "V": ["Other", PLANTED]},
    ],
)
def test_pdf_comment_or_field_value_is_a_block(annotation):
    data = pdf_annotated([["Body words."], ["Next page."]], annotation)
    found = blocks_of(data, "a.pdf")
    assert found.count(PLANTED) == 1
    assert (found[0], found[-1]) == ("Body words.", "Next page.")


def test_pdf_comment_that_is_on_the_page_or_twice_is_read_once():
    notes = [note("Text", Contents=text) for text in ("Body words.", "Late.", "Late.")]
    assert blocks_of(pdf_annotated([["Body words."]], *notes), "a.pdf") == ["Body words.", "Late."]


def test_pdf_button_and_check_box_states_are_left_out():
    box = FIELD | {"FT": "/Btn", "V": "/Yes", "AS": "/Yes"}
    assert blocks_of(pdf_annotated([["Body words."]], box), "a.pdf") == ["Body words."]


def test_pdf_comment_on_a_page_without_text_is_read_and_the_page_is_named():
    data = pdf_annotated([[]], note("Text", Contents=PLANTED))
    extracted = Extractor(**limits()).extract(data, filename="a.pdf", media_type=None)
    assert (extracted.text, extracted.layout.pages_without_text) == (f"{PLANTED}\n", (1,))


@pytest.mark.parametrize(
    ("content", "compression"),
    [
        (b"This was compressed once, and is not any more.", "/FlateDecode"),
        (
            zlib.compress(b"BT 9 0 0 9 50 50 Tm (Two of the four developers leave.) Tj ET" * 9)[
                :40
            ],
            "/FlateDecode",
        ),
        (b"\x80\x0b\x60\x50" * 9, "/LZWDecode"),
        (b"abc", "/UnknownDecode"),
        (b"ab~>zz" * 9, "/ASCII85Decode"),
    ],
    ids=["no zlib", "cut off", "LZW", "unknown", "ASCII85"],
)
def test_page_whose_content_is_damaged_is_named_as_not_read(content, compression):
    data = pdf_with_content(pdf_of_pages([[PLANTED]]), (content, compression))
    extracted = Extractor(**limits()).extract(data, filename="a.pdf", media_type=None)
    assert extracted.layout.pages_without_text == (2,)


@pytest.mark.parametrize(
    ("content", "compression"),
    [
        (b"", ""),
        (b"\n" * 99, ""),
        (b"q 1 0 0 1 0 0 cm Q", ""),
        (zlib.compress(b""), "/FlateDecode"),
    ],
)
def test_blank_page_is_not_named(content, compression):
    data = pdf_with_content(pdf_of_pages([[PLANTED]]), (content, compression))
    extracted = Extractor(**limits()).extract(data, filename="a.pdf", media_type=None)
    assert extracted.layout.pages_without_text == ()


def test_blank_page_is_not_named_beside_a_page_that_cannot_be_read():
    data = pdf_with_content(pdf_of_pages([[PLANTED]]), (b"abc", "/UnknownDecode"), (b"", ""))
    extracted = Extractor(**limits()).extract(data, filename="a.pdf", media_type=None)
    assert extracted.layout.pages_without_text == (2,)


def test_pdf_comment_does_not_part_a_sentence_over_a_page_break():
    pages = [["The budget of the year"], ["is tight."]]
    found = blocks_of(pdf_annotated(pages, note("Text", Contents="Late.")), "a.pdf")
    assert found == ["Late.", "The budget of the year is tight."]


def test_pdf_dynamic_form_is_refused_with_the_remedy():
    field = FIELD | {"FT": "/Tx"}
    data = pdf_annotated([["Please wait..."]], field, XFA=["template", "x"])
    data = data.replace(b"/Type /Catalog", b"/Type /Catalog /NeedsRendering true")
    with pytest.raises(UnreadableDocument, match="Print it"):
        blocks_of(data, "a.pdf")


@pytest.mark.parametrize("footer", ["", "Report, page {page}"])
def test_pdf_sentence_over_three_pages_is_one_block(footer):
    pages = [["First.", "The plan says that the budget"], ["of the second and third year"]]
    pages += [["is very tight. More."], ["Last words."]]
    data = pdf_of_pages(pages, footer=footer)
    extracted = Extractor(**limits()).extract(data, filename="a.pdf", media_type=None)
    sentence = "The plan says that the budget of the second and third year is very tight."
    assert sentence in [extracted.text[b.start : b.end] for b in extracted.blocks]
    words = ("the budget", "of the second", "is very", "Last")
    assert [extracted.layout.page_at(extracted.text.index(w)) for w in words] == [1, 2, 3, 4]
    assert all(footer.format(page=n) in extracted.text for n in (1, 2, 3, 4))


def written(write):
    """A page of size A4 on which `write` wrote."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", size=10)
    write(pdf)
    return blocks_of(bytes(pdf.output()), "a.pdf")


def test_pdf_sentence_in_one_of_two_columns_is_in_a_block():
    def write(pdf):
        with pdf.text_columns(ncols=2, gutter=10, text_align="L") as columns:
            columns.write(" ".join([*prose()[:20], PLANTED, *prose()[20:40]]))

    assert any(PLANTED in block for block in written(write))


def test_pdf_sentences_in_cells_of_a_table_are_blocks():
    def write(pdf):
        with pdf.table(text_align="L") as table:
            for cells in (("Risk", "State"), (PLANTED, "open"), ("Tight budget.", PLANTED)):
                table.row(cells)

    assert written(write).count(PLANTED) == 2


@pytest.mark.parametrize("degrees", [90, 180, 270, 30])
def test_pdf_rotated_sentence_is_a_block(degrees):
    def write(pdf):
        pdf.cell(0, 5, "Upright words.")
        with pdf.rotation(degrees, x=105, y=150):
            pdf.text(90, 150, PLANTED)

    assert PLANTED in written(write)
