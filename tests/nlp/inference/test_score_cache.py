from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.nlp.inference.score_cache import ScoreCache

ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


def values(found):
    return [None if row is None else row.tolist() for row in found]


def test_get_returns_cached_rows_and_none_for_the_rest():
    cache = ScoreCache(10)
    cache.put(["a", "b", "c"], ROWS)
    assert values(cache.get(["c", "x", "a"])) == [ROWS[2].tolist(), None, ROWS[0].tolist()]


@pytest.mark.parametrize("same", ["two  words", "two\nwords", "two \t words"])
def test_get_treats_a_run_of_white_space_as_one_space(same):
    cache = ScoreCache(10)
    cache.put(["two words"], ROWS[:1])
    assert values(cache.get([same])) == [ROWS[0].tolist()]


@pytest.mark.parametrize("other", ["two\x1cwords", "twowords", "Two words", "two words."])
def test_get_distinguishes_sentences_that_the_tokenizer_may(other):
    cache = ScoreCache(10)
    cache.put(["two words"], ROWS[:1])
    assert cache.get([other]) == [None]


def test_get_returns_only_what_was_stored_at_the_same_threshold():
    cache, left = ScoreCache(10), np.array([[-np.inf, 2.0, 0.0, 1.0]], np.float32)
    cache.put(["a"], left, leave_below=-1.3)
    assert cache.get(["a"], leave_below=-1.0) == cache.get(["a"]) == [None]
    cache.put(["a"], ROWS[:1])
    assert cache.get(["a"], leave_below=-1.0) == [None]
    assert values(cache.get(["a"], leave_below=-1.3)) == left.tolist()
    assert values(cache.get(["a"])) == ROWS[:1].tolist()


def test_put_into_a_full_cache_evicts_the_least_recently_used():
    cache = ScoreCache(2)
    cache.put(["a", "b"], ROWS[:2])
    cache.get(["a"])
    cache.put(["c"], ROWS[2:])
    assert values(cache.get(["a", "b", "c"])) == [ROWS[0].tolist(), None, ROWS[2].tolist()]


def test_cache_of_size_zero_stores_nothing():
    cache = ScoreCache(0)
    cache.put(["a"], ROWS[:1])
    assert cache.get(["a"]) == [None]


def test_put_lone_surrogate_is_stored():
    cache = ScoreCache(2)
    cache.put(["\ud800"], ROWS[:1])
    assert values(cache.get(["\ud800"])) == [ROWS[0].tolist()]


def test_put_copies_the_rows():
    cache, rows = ScoreCache(2), ROWS.copy()
    cache.put(["a"], rows[:1])
    rows[:] = -1
    assert values(cache.get(["a"])) == [ROWS[0].tolist()]


def test_eight_threads_read_what_each_of_them_wrote():
    cache = ScoreCache(64)

    def work(n):
        for k in range(200):
            cache.put([f"{n} {k % 5}"], np.full((1, 4), n, np.float32))
            assert cache.get([f"{n} {k % 5}"])[0][0] == n

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
