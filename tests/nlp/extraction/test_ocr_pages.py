"""Text from OCR in its place: between pages, parts and headings that keep theirs."""

import numpy as np

from service.nlp.document import Block, ExtractedText
from service.nlp.extraction.ocr_pages import with_pages
from service.nlp.layout import Headings, Layout, Pages, Part

# Two parts: pages "one", none, "three"; then a table cell, and a page without text at the very end.
TEXT = "one\nthree\ncell\n"
BLOCKS = (Block(0, 3), Block(4, 9), Block(10, 14))
LAYOUT = Layout(
    (
        Part("a.pdf", 0, Pages((0, 4, 4), without_text=(2,))),
        Part("b.pdf", 10, Pages((10, 15), without_text=(2,))),
    ),
    Headings(("Risk",), np.array([0, 4, 10]), np.array([-1, -1, 0], np.int32)),
)


def places(extracted):
    layout = extracted.layout
    return [
        (
            extracted.text[b.start : b.end],
            layout.part_at(b.start).name,
            layout.page_at(b.start),
            layout.heading_at(b.start),
        )
        for b in extracted.blocks
    ]


def test_pages_that_were_read_stand_in_their_place():
    added = with_pages(
        ExtractedText(TEXT, BLOCKS, LAYOUT), {(0, 2): "two\n\nmore\n\n", (1, 2): "end"}
    )
    assert places(added) == [
        ("one", "a.pdf", 1, None),
        ("two", "a.pdf", 2, None),
        ("more", "a.pdf", 2, None),
        ("three", "a.pdf", 3, None),
        ("cell", "b.pdf", 1, "Risk"),
        ("end", "b.pdf", 2, None),
    ]
    assert [part.pages.by_ocr for part in added.layout.parts] == [(2,), (2,)]
    assert [part.pages.without_text for part in added.layout.parts] == [(), ()]


def test_page_on_which_no_word_was_read_stays_without_text():
    extracted = ExtractedText(TEXT, BLOCKS, LAYOUT)
    assert with_pages(extracted, {(0, 2): " \n- \n"}) is extracted
