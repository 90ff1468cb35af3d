"""Which row of a table is its header, and which cells get it."""

import pytest

from service.nlp.extraction.extractor import Extractor
from tests.support import documents


def headings(text):
    extractor = Extractor(**documents.limits())
    extracted = extractor.extract(text.encode(), filename="a.csv", media_type=None)
    layout = extracted.layout
    return [(extracted.text[b.start : b.end], layout.heading_at(b.start)) for b in extracted.blocks]


def test_table_cells_have_the_header_of_their_column():
    assert headings("ID,Risk\n1,Late parts\n2,Fire\n") == [
        ("ID", None), ("Risk", None),
        ("1", "ID"), ("Late parts", "Risk"),
        ("2", "ID"), ("Fire", "Risk"),
    ]  # fmt: skip


def test_table_title_above_the_header_is_no_header():
    assert headings("Register,\nID,Risk\n1,Fire\n")[-1] == ("Fire", "Risk")


@pytest.mark.parametrize(
    "first",
    ["1,Parts are late.", "1,2", "Same,same", f"ID,{'long ' * 20}", "Parts are late!,Fire"],
)
def test_table_whose_first_row_is_no_header_has_none(first):
    assert {heading for _, heading in headings(f"{first}\n3,Fire\n")} == {None}


def test_table_cell_of_two_paragraphs_has_its_heading_in_both():
    assert headings('ID,Risk\n1,"Late parts.\n\nFire."\n')[-2:] == [
        ("Late parts.", "Risk"), ("Fire.", "Risk"),
    ]  # fmt: skip
