from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import AnalyzerTimeout
from service.nlp.deadline import Deadline
from service.nlp.document import Block, ExtractedText
from service.nlp.layout import Layout, Pages, Part
from service.nlp.segmentation.pieces import MAX_SENTENCE_CHARS
from service.nlp.segmentation.segmenter import Segmenter
from service.nlp.segmentation.sentence_starts import SentenceStarts
from tests.nlp.prose import HARMLESS, extracted, planted

SEGMENTER = Segmenter()  # hypothesis does not mix with function-scoped fixtures
PARAGRAPHS = st.lists(st.text(max_size=300) | st.text(alphabet='aZ. \n"(5!?)e\u3002', max_size=300))


def sentences(*paragraphs: str) -> list[str]:
    return SEGMENTER.segment(extracted(*paragraphs)).sentence_texts()


@settings(max_examples=60, deadline=None)
@given(PARAGRAPHS)
def test_segment_any_text_puts_each_character_into_one_sentence(paragraphs):
    document = SEGMENTER.segment(extracted(*paragraphs))
    counts = [0] * len(document.text)
    for s in document.sentences:
        for i in range(s.start, s.end):
            counts[i] += 1
    assert all(n == 1 for n, c in zip(counts, document.text, strict=True) if not c.isspace())
    assert max(counts, default=0) <= 1


@settings(max_examples=60, deadline=None)
@given(PARAGRAPHS)
def test_segment_any_text_gives_trimmed_sentences_inside_blocks_in_order(paragraphs):
    source = extracted(*paragraphs)
    document = SEGMENTER.segment(source)
    assert all(text == text.strip() != "" for text in document.sentence_texts())
    assert list(document.sentences) == sorted(document.sentences, key=lambda s: s.start)
    for s in document.sentences:
        assert any(b.start <= s.start and s.end <= b.end for b in source.blocks)


@pytest.mark.parametrize(
    "expected",
    [
        ["See No. 5 and Fig. 3 here.", "Dr. Smith went to the U.S. market."],
        ["Smith et al. (2020) agree.", "Costs rose by 3.5 percent, cf. Art. 5, etc. and more."],
        ["1. Install the pump.", "2. Check it."],
        ["He asked twice.", '"No," she said.', "(See page 4.)", "They left."],
        ["Use e.g. the pump, i.e. the old one.", "Is it on?", "Yes!"],
        ["We said no.", "They left."],
        ["the budget is tight.", "the deadline is close."],
    ],
)
def test_segment_prose_with_abbreviations_cuts_where_a_reader_would(expected):
    assert sentences(" ".join(expected)) == expected


def test_segment_line_break_inside_a_block_stays_in_the_sentence():
    assert sentences("The budget\nis tight.  Next one.") == ["The budget\nis tight.", "Next one."]


def test_segment_bullets_without_full_stops_are_sentences_of_their_own():
    assert sentences("tight budget", "aggressive deadline") == [
        "tight budget",
        "aggressive deadline",
    ]


def test_segment_blank_document_has_no_sentences():
    assert sentences("", "  \n ", "\t") == []


def test_segment_pages_gives_each_sentence_the_page_it_begins_on():
    text = "One here. Two\nends here. Three."
    layout = Layout((Part("", pages=Pages((0, 14, 25), without_text=(2,))),))
    source = ExtractedText(text, (Block(0, len(text)),), layout)
    document = SEGMENTER.segment(source)
    assert [document.place_at(s.start).page for s in document.sentences] == [1, 1, 3]
    coverage = document.coverage()
    assert (coverage["pages"], coverage["pages_without_text"]) == (3, [2])


def test_segment_long_run_is_cut_at_the_best_boundary():
    cells = [f"cell number {i} of the table" for i in range(300)]
    parts = sentences("; ".join(cells))
    assert max(map(len, parts)) <= MAX_SENTENCE_CHARS
    assert all(part.startswith("cell number") for part in parts)


def test_segment_sentence_after_a_long_paragraph_stays_whole():
    long_one = "The map shows " + ", ".join(["the river"] * 110) + "."
    paragraph = " ".join([*HARMLESS * 4, long_one, *HARMLESS])
    assert long_one in sentences(paragraph)


@pytest.mark.parametrize(
    "unit",
    ["a", "\n", ".", "(;,!?)", "(;,!?) ", "\u6f22\u5b57", "\u6f22\u3002", "\U0001f469\u200d\U0001f467",
     "\u0645\u0631\u062d\u0628\u0627. ", "a,", "http://a.b/c?d=e&", "U.S.A. "],
)  # fmt: skip
@pytest.mark.timeout(
    120
)  # a guard against blow-ups, which take minutes; 0.01 to 0.5 s were measured
def test_segment_100_kb_of_anything_ends(unit):
    text = unit * (100_000 // len(unit))
    document = SEGMENTER.segment(extracted(text))
    assert bool(document.sentences) == bool(text.strip())


def test_segment_expired_deadline_raises_timeout():
    with pytest.raises(AnalyzerTimeout, match="AI_TIMEOUT_S"):
        SEGMENTER.segment(extracted("One."), deadline=Deadline.after(0))


def test_segment_eight_threads_give_what_one_gives():
    sources = [planted(8_000, seed) for seed in range(8)]
    alone = [SEGMENTER.segment(source) for source in sources]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(SEGMENTER.segment, sources)) == alone


class CountingDeadline:
    """A deadline, checked once for each chunk: signals the third check, and can pass."""

    def __init__(self) -> None:
        self.left = 3
        self.begun = threading.Event()
        self.has_passed = False

    def check(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.begun.set()
        if self.has_passed:
            raise AnalyzerTimeout("ended by the test")


def test_segment_short_text_beside_a_book_does_not_wait_for_it():
    deadline = CountingDeadline()
    with ThreadPoolExecutor(1) as pool:
        book = pool.submit(SEGMENTER.segment, planted(1_500_000, 1), deadline=deadline)
        assert deadline.begun.wait(30)
        SEGMENTER.segment(extracted("A note. It is short."))
        deadline.has_passed = True
        with pytest.raises(AnalyzerTimeout):  # so the book was in progress all the time
            book.result(30)


def test_segment_always_new_words_are_cached_up_to_the_limit_and_change_no_sentence():
    starts = SentenceStarts(max_words=2_000)
    segmenter = Segmenter(starts)
    prose = planted(5_000, 1)
    before = segmenter.segment(prose)
    sizes = []
    for start in range(0, 4_000, 500):
        segmenter.segment(extracted(" ".join(f"x{i}y. Yes." for i in range(start, start + 500))))
        sizes.append(starts.n_words)
    assert max(sizes) < 2_000 + 1_000  # the words of the chunk in progress come on top
    assert sizes != sorted(sizes)  # the cache was emptied
    assert segmenter.segment(prose) == before


class TokenizesAll(SentenceStarts):
    """Gives the tokenizer the whole text."""

    def parts_with_ends(self, source: str) -> list[tuple[int, int]]:
        return [(0, len(source))]


READS_ALL = Segmenter(TokenizesAll())
STARTS = SentenceStarts()
SPACY = spacy.blank("en")
SPACY.add_pipe("sentencizer")
WORDS = """the budget is tight We cannot gonna I a x don't No. etc. Fig. 1. U.S. e.g. 5 1am :-) (a) .
    (" ." .) !? \u201cNo end.Next \u6f22\u3002\u5b57 \U0001f469 \u00e9t\u00e9"""
WORD = st.sampled_from(
    [*WORDS.split(), "", "\n", " " * 50, "\n " * 30, *sorted(SPACY.tokenizer.rules)]
)
PROSE = st.lists(WORD | WORD.map("{}.".format), max_size=60).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(PROSE)
def test_segment_any_prose_gives_what_tokenizing_all_of_it_gives(text):
    assert SEGMENTER.segment(extracted(text)) == READS_ALL.segment(extracted(text))


@settings(max_examples=100, deadline=None)
@given(PROSE | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace").decode()))
def test_first_tokens_any_text_gives_what_the_sentencizer_gives(text):
    doc = SPACY(text)
    assert list(STARTS.first_tokens(doc)) == [span.start for span in doc.sents][1:]


def test_special_cases_of_spacy_have_no_two_words_in_a_row():
    """SentenceStarts.parts_with_ends relies on it."""
    rules = SPACY.tokenizer.rules
    SPACY.tokenizer.rules = {}
    try:
        cases = [[token.text for token in SPACY.tokenizer(rule)] for rule in rules]
    finally:
        SPACY.tokenizer.rules = rules
    pairs = [pair for case in cases for pair in pairwise(case)]
    assert pairs
    assert not [pair for pair in pairs if all(re.fullmatch("[A-Za-z]+", w) for w in pair)]
