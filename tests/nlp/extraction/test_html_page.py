"""Every place of a web page that people read, and the places that they do not."""

import pytest

from tests.support.documents import PLANTED, blocks_of


@pytest.mark.parametrize(
    "page",
    [
        f"<title>{PLANTED}</title><p>body",
        f"<noscript><p>{PLANTED}</noscript>",
        f"<p>see <img alt='{PLANTED}'> here",
        f"<p>see <abbr title='{PLANTED}'>ZS</abbr> here",
        f"<textarea>{PLANTED}</textarea>",
        f"<textarea placeholder='{PLANTED}'></textarea>",
        f"<input value='{PLANTED}'>",
        f"<input type=TEXT placeholder='{PLANTED}'/>",
        f"<select><optgroup label='{PLANTED}'><option>one</select>",
        f"<select><option>one<option selected>{PLANTED}</select>",
        f"<details><summary>{PLANTED}</summary>more</details>",
        f"<details><summary>more</summary>{PLANTED}</details>",
        f"<svg><text>{PLANTED.replace('went', '<tspan>went</tspan>')}</text></svg>",
        f"<svg><title>{PLANTED}</title></svg>",
        f"<p><![CDATA[{PLANTED}]]></p>",
        f"<p hidden>{PLANTED}</p>",
    ],
)
def test_html_shown_text_is_a_block(page):
    assert PLANTED in blocks_of(page, "a.html")


@pytest.mark.parametrize(
    "page",
    [
        f"<script>var s = '{PLANTED}'</script>",
        f"<style>p::after {{ content: '{PLANTED}' }}</style>",
        f"<template><p>{PLANTED}<img alt='{PLANTED}'></template>",
        f"<!-- {PLANTED} -->",
        f"<input type=hidden value='{PLANTED}'><input type=password value='{PLANTED}'>",
    ],
)
def test_html_text_nobody_sees_is_left_out(page):
    assert blocks_of(f"<p>body</p>{page}", "a.html") == ["body"]


def test_html_attribute_does_not_cut_the_sentence_it_stands_in():
    page = "<p>The budget <img alt='a chart'> is <b title='very'>tight</b>.<p>Next."
    assert blocks_of(page, "a.html") == ["The budget is tight.", "a chart", "very", "Next."]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<p>One.<!-- Two.<p>Three.", ["One.<!-- Two.", "Three."]),
        ("<p>One.<![CDATA[Two.<p>Three.", ["One.<![CDATA[Two.", "Three."]),
        ("<p>One.<p>Two <b and three.", ["One.", "Two <b and three."]),
        ("<p>One.<p title='>'>Two.<a href='>' and three.", ["One.", "Two.<a href='>' and three.", ">"]),
        ("<p>Costs < 5 & > 3.</3>", ["Costs < 5 & > 3."]),
    ],
)  # fmt: skip
def test_html_rest_of_a_page_whose_comment_or_tag_never_ends_is_text(page, expected):
    assert blocks_of(page, "a.html") == expected


@pytest.mark.parametrize(
    "between",
    ["<![if !supportLists]>", "<!-->", "<!--->", "<!-- > -- > --!>", "</>", "<?xml a>", "<!x>"],
)
def test_html_markup_that_nobody_sees_leaves_no_text(between):
    assert blocks_of(f"<p>One {between}sentence.", "a.html") == ["One sentence."]


def test_html_attributes_in_every_notation_are_read():
    page = "<img alt='a \"b\"'><img ALT = \"c 'd'\"/><img alt=e/f><img alt title=g&amp;h>"
    assert blocks_of(page, "a.html") == ['a "b"', "c 'd'", "e/f", "g&h"]
