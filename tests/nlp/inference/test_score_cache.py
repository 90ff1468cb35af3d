from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.document import Document, Sentence
from service.nlp.inference.score_cache import SentenceCache
from service.nlp.observer import NullObserver
from tests.support.artifacts import SHIPPED

ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


class Counted(NullObserver):
    def __init__(self):
        self.hits = self.misses = self.rows = 0

    def cached(self, hits, misses):
        self.hits += hits
        self.misses += misses

    def inferred(self, seconds, tokens, padded_tokens, rows):  # noqa: ARG002 - the observer's form
        self.rows += rows


def values(found):
    return [None if row is None else row.tolist() for row in found]


def test_known_gives_what_was_remembered_and_none_for_the_rest():
    cache = SentenceCache(10)
    cache.remember(["a", "b", "c"], ROWS)
    assert values(cache.known(["c", "x", "a"])) == [ROWS[2].tolist(), None, ROWS[0].tolist()]


@pytest.mark.parametrize("same", ["two  words", "two\nwords", "two \t words"])
def test_known_takes_runs_of_white_space_for_one(same):
    cache = SentenceCache(10)
    cache.remember(["two words"], ROWS[:1])
    assert values(cache.known([same])) == [ROWS[0].tolist()]


@pytest.mark.parametrize("other", ["two\x1cwords", "twowords", "Two words", "two words."])
def test_known_tells_sentences_apart_that_the_tokenizer_may(other):
    cache = SentenceCache(10)
    cache.remember(["two words"], ROWS[:1])
    assert cache.known([other]) == [None]


def test_remember_forgets_what_was_asked_for_longest_ago():
    cache = SentenceCache(2)
    cache.remember(["a", "b"], ROWS[:2])
    cache.known(["a"])
    cache.remember(["c"], ROWS[2:])
    assert values(cache.known(["a", "b", "c"])) == [ROWS[0].tolist(), None, ROWS[2].tolist()]


def test_cache_of_no_sentences_remembers_nothing():
    cache = SentenceCache(0)
    cache.remember(["a"], ROWS[:1])
    assert cache.known(["a"]) == [None]


def test_remember_takes_text_that_is_no_unicode():
    cache = SentenceCache(2)
    cache.remember(["\ud800"], ROWS[:1])
    assert values(cache.known(["\ud800"])) == [ROWS[0].tolist()]


def test_remember_keeps_rows_as_they_were():
    cache, rows = SentenceCache(2), ROWS.copy()
    cache.remember(["a"], rows[:1])
    rows[:] = -1
    assert values(cache.known(["a"])) == [ROWS[0].tolist()]


def test_eight_threads_at_once_find_what_each_left():
    cache = SentenceCache(64)

    def work(n):
        for k in range(200):
            cache.remember([f"{n} {k % 5}"], np.full((1, 4), n, np.float32))
            assert cache.known([f"{n} {k % 5}"])[0][0] == n

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_edited_document_costs_only_what_is_new():
    told = Counted()
    analyzer = LocalAnalyzer.open(
        SHIPPED, device="cpu", n_threads=1, cache_sentences=1000, observer=told
    )
    plain = LocalAnalyzer.open(SHIPPED, device="cpu", n_threads=1)
    before = [f"Milestone {k} slipped because the vendor was late." for k in range(20)]
    edited = [*before[:7], "Nobody tested the restore.", *before[8:]]
    try:
        analyzer.analyze(document(before))
        n_rows = told.rows
        found = analyzer.analyze(document(edited))
        assert told.rows == n_rows + 1
        assert [f.risk_type for f in found.findings] == [
            f.risk_type for f in plain.analyze(document(edited)).findings
        ]
    finally:
        analyzer.close()
        plain.close()
    assert told.hits >= 19


def document(sentences):
    spans, start = [], 0
    for sentence in sentences:
        spans.append(Sentence(start, start + len(sentence)))
        start += len(sentence) + 1
    return Document("\n".join(sentences), tuple(spans))
