from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.nlp.quotations import QuotableText

SMALL = st.text(alphabet="aab. \n\u00a0\u2003\x1c", max_size=40)


def by_words(quotation: str, text: str) -> list[tuple[int, int]]:
    """Return the places of a quotation by a regular expression of its words."""
    words = map(re.escape, quotation.split())
    return [found.span() for found in re.finditer(r"\s+".join(words), text)]


@given(text=SMALL, quotation=SMALL.filter(str.strip))
def test_spans_are_those_of_a_regular_expression_of_the_words(text, quotation):
    assert list(QuotableText(text).spans(quotation)) == by_words(quotation, text)


@given(text=SMALL, cut=st.tuples(st.integers(0, 40), st.integers(0, 40)))
def test_spans_of_a_part_are_those_of_a_regular_expression_of_its_words(text, cut):
    part = text[min(cut) : max(cut)]
    expected = by_words(part, text) if part.strip() else []
    assert list(QuotableText(text).spans(part)) == expected


@pytest.mark.parametrize("quotation", ["no  backup", " no\nbackup\n", "no backup"])
def test_spans_ignore_the_white_space_of_text_and_quotation(quotation):
    text = " \n  There is no backup,\n\n no \t\n backup. "
    places = [text[start:end] for start, end in QuotableText(text).spans(quotation)]
    assert places == ["no backup", "no \t\n backup"]


@pytest.mark.parametrize("quotation", ["", " \n"])
def test_spans_of_a_quotation_without_words_are_none(quotation):
    assert list(QuotableText("a  b").spans(quotation)) == []


@pytest.mark.timeout(60)  # a regular expression takes minutes
def test_spans_of_many_repeated_words_are_found_in_a_large_text():
    text = "a " * 1_250_000
    assert list(QuotableText(text).spans("a " * 9_999 + "bb")) == []
    assert next(QuotableText(text + "bb").spans("a " * 9_999 + "bb")) == (2_480_002, 2_500_002)
