"""Stored documents: the text policy, and texts that come back from their pieces as they were."""

from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest

from db.tables import Document, DocumentText, StoredText, TextLimit
from service.domain.document_storage import (
    PIECE_CHARS,
    TextPolicy,
    extracted_text,
    new_document,
    text_policy,
)
from service.nlp.document import Analysis, Block, ExtractedText
from service.nlp.document import Document as ReadDocument
from service.nlp.layout import Headings, Layout, Pages, Part
from service.nlp.pipeline import ScanResult
from service.nlp.span_sequence import SpanSequence
from service.nlp.taxonomy import built_in

FULL, HASH, NONE = StoredText.FULL, StoredText.HASH, StoredText.NONE
FULL_TEXT, PLAIN = TextPolicy(FULL), Layout()
LINES = [f"Line {n} states a tight budget \U0001f525." for n in range(6_000)]
TEXT = "\n".join(LINES) + "\n"
STARTS = np.cumsum([0, *(len(line) + 1 for line in LINES)])
SPANS = np.column_stack([STARTS[:-1], STARTS[1:] - 1])


def new(extracted, policy=FULL_TEXT):
    read = ReadDocument("", (), is_read=False)
    if extracted is not None:
        read = ReadDocument(extracted.text, (), extracted.layout)
    result = ScanResult(read, Analysis(built_in()), "0" * 64, extracted=extracted)
    return new_document(UUID(int=1), result, name=None, policy=policy, at=datetime.now(UTC))


def read_back(new):
    """Return the text, as it is read from the rows of a new document."""
    document = Document(**new.values)
    pieces = [DocumentText(**piece) for piece in new.pieces]
    short = DocumentText(start=0, text=document.text, blocks=document.blocks)
    return extracted_text(document, pieces or [short])


def text_of(layout=PLAIN, spans=SPANS):
    return ExtractedText(TEXT, SpanSequence(spans, Block), layout)


@pytest.mark.parametrize(
    ("cap", "choice", "stored", "limit"),
    [
        ("full", None, FULL, None),
        ("full", "full", FULL, None),
        ("hash", None, HASH, TextLimit.OPERATOR),
        ("hash", "full", HASH, TextLimit.OPERATOR),
        ("full", "hash", HASH, TextLimit.USER),
        ("hash", "none", NONE, TextLimit.USER),
        ("none", "none", NONE, TextLimit.OPERATOR),
    ],
)
def test_text_policy_is_the_lesser_of_cap_and_choice(cap, choice, stored, limit):
    assert text_policy(cap, choice) == TextPolicy(stored, limit)


def test_long_text_comes_back_whole_from_pieces_that_end_after_a_line():
    stored = new(text_of())
    assert len(stored.pieces) > 4
    assert all(len(piece["text"]) <= PIECE_CHARS for piece in stored.pieces)
    assert all(piece["text"].endswith("\n") for piece in stored.pieces)
    back = read_back(stored)
    assert (back.text, back.blocks, back.layout) == (TEXT, text_of().blocks, Layout())


def test_block_across_pieces_comes_back():
    whole = np.array([[0, len(TEXT)]])
    assert read_back(new(text_of(spans=whole))).blocks == [Block(0, len(TEXT))]


def test_parts_pages_and_problems_come_back():
    pages = Pages((60_000, 60_000, 90_000), without_text=(1,), by_ocr=(3,))
    parts = (Part(""), Part("a.pdf", 60_000, pages), Part("b.bin", 95_000, problem="Not read."))
    assert read_back(new(text_of(Layout(parts)))).layout == Layout(parts)


def test_headings_come_back():
    rows = (np.arange(len(SPANS)) % 3 - 1).astype(np.int32)
    headings = Headings(("Risk", "Owner"), SPANS[:, 0], rows)
    back = read_back(new(text_of(Layout(headings=headings)))).layout
    wanted = [headings.at(start) for start, _ in SPANS]
    assert [back.heading_at(start) for start, _ in SPANS] == wanted
    assert set(wanted) == {None, "Risk", "Owner"}


def test_file_that_is_not_read_has_no_text_and_says_why():
    stored = new(None)
    assert (stored.pieces, stored.values["text_limit"]) == ([], TextLimit.UNREAD)
    assert (stored.values["text_stored"], stored.values["n_characters"]) == (HASH, None)


def test_id_is_the_same_for_the_same_document_only_if_its_hash_is_stored():
    def id_of(policy):
        return new(text_of(), policy).values["id"]

    assert id_of(TextPolicy(FULL)) == id_of(TextPolicy(FULL))
    assert id_of(TextPolicy(NONE, TextLimit.USER)) != id_of(TextPolicy(NONE, TextLimit.USER))
