from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.nlp.inference.tokenization import (
    WINDOW_TOKENS,
    Windower,
    overlapping,
    split_long_words,
)
from tests.support.documents import AUTHORED

SENTENCES = [json.loads(line)["text"] for line in AUTHORED[0].read_text().splitlines()]


@pytest.fixture(scope="module")
def windower(artifact):
    return Windower(artifact.tokenizer(), 512)


@given(st.integers(0, 300), st.integers(2, 40))
def test_overlapping_any_length_covers_every_token_within_the_size(n, size):
    ids = list(range(n))
    windows = list(overlapping(ids, size))
    assert sorted({i for w in windows for i in w}) == ids
    assert max(map(len, windows)) <= size
    assert len(windows[-1]) == min(n, size)


def test_windows_ordinary_sentence_is_one_window_with_special_tokens(windower, artifact):
    tokenizer = artifact.tokenizer()
    [[ids]] = windower.windows(["The budget is tight."])
    assert ids == tokenizer.encode("The budget is tight.").ids


def test_windows_long_sentence_overlaps_by_half(windower):
    [windows] = windower.windows(["budget " * 400])
    assert {len(w) for w in windows} == {WINDOW_TOKENS}
    assert len(windows) == 21  # ceil((400 - 38) / 19) + 1


def test_windows_word_of_500_letters_is_not_unknown(windower, artifact):
    unknown = artifact.tokenizer().token_to_id("[UNK]")
    assert unknown in artifact.tokenizer().encode("budget" * 90).ids
    [windows] = windower.windows(["budget" * 90])
    assert all(unknown not in window for window in windows)


def test_windows_lone_surrogate_is_read_not_refused(windower):
    assert len(windower.windows(["a \ud800 b"])) == 1


@pytest.mark.parametrize("text", ["plain words", "x" * 100, "http://a.example/" + "b/" * 80])
def test_split_long_words_text_that_wordpiece_reads_stays_as_it_is(text):
    assert split_long_words(text) == text


def test_split_long_words_loses_no_character():
    word = "\ud55c" * 250 + "abc" * 50
    assert split_long_words(word).replace(" ", "") == word


def test_threads_that_share_a_windower_get_the_same_windows(windower):
    chunks = [SENTENCES[k : k + n] for n in (1, 3, 4, 60) for k in range(0, len(SENTENCES), n)]
    expected = [windower.windows(chunk) for chunk in chunks]

    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert list(pool.map(windower.windows, chunks)) == expected


def test_few_sentences_are_cut_as_among_many(windower):
    texts = [*SENTENCES[:200], "Ǖnïcödé 風險 " * 40, "x" * 300, "", "a\ud800b"]

    assert [windower.windows([text])[0] for text in texts] == windower.windows(texts)
