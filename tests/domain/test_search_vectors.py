"""Vectors of findings in memory: the nearest, replaced and deleted parts; and the fusion of ranked lists."""

from uuid import UUID

import numpy as np
import pytest

from db.tables.search import ROWS
from service.domain.search.fusion import fused
from service.domain.search.matrix import no_vectors, stored_parts

SIZE = 8
A, B = UUID(int=1), UUID(int=2)


def unit(*rows):
    vectors = np.array(rows, np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def random_unit(n, seed=3):
    return unit(*np.random.default_rng(seed).normal(size=(n, SIZE)))


def parts(scan_id, vectors, categories=None, series=None):
    stored = stored_parts(vectors, categories or ["financial"] * len(vectors))
    return [
        (scan_id, part, series or scan_id, lines, data) for part, (lines, data) in enumerate(stored)
    ]


def test_nearest_agrees_with_the_exact_cosines_over_several_parts():
    vectors = random_unit(ROWS + 50)
    listed = no_vectors(SIZE).extended(parts(A, vectors))
    found = listed.nearest(vectors[ROWS + 7], limit=3)
    assert found[0][0] == (A, ROWS + 8)
    assert found[0][1] == pytest.approx(1, abs=0.01)
    cosines = vectors @ vectors[ROWS + 7]
    for (_, n), similarity in found:
        assert similarity == pytest.approx(cosines[n - 1], abs=0.02)


def test_part_stored_again_replaces_the_earlier_one():
    first, second = random_unit(4), random_unit(2, seed=4)
    listed = no_vectors(SIZE).extended([*parts(A, first), *parts(B, first)])
    again = listed.extended(parts(A, second))
    assert len(again) == 6
    assert again.nearest(second[1], limit=1)[0][0] == (A, 2)
    assert again.nearest(first[3], limit=1)[0][0] == (B, 4)


def test_repeat_in_an_older_scan_of_a_document_is_never_near_until_the_newer_is_dropped():
    vectors = random_unit(4)
    older, newer = parts(A, vectors, series=A), parts(B, vectors[1:], series=A)
    for order in ([*older, *newer], [*newer, *older]):
        listed = no_vectors(SIZE).extended(order)
        found = [place for place, _ in listed.nearest(vectors[1], limit=9)]
        assert (found[0], sorted(found)) == ((B, 1), [(A, 1), (B, 1), (B, 2), (B, 3)])
        left = listed.without({(B, 0)})
        assert left.nearest(vectors[1], limit=9)[0][0] == (A, 2)
        assert len(left.nearest(vectors[1], limit=9)) == 4


def test_same_sentence_is_no_repeat_in_another_category_or_document_or_the_same_scan():
    vectors = unit([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 8])
    several = [
        *parts(A, vectors, ["legal", "legal"], series=A),
        *parts(B, vectors, ["people", "people"], series=A),
        *parts(UUID(int=3), vectors, ["legal", "legal"], series=B),
    ]
    assert len(no_vectors(SIZE).extended(several).nearest(vectors[0], limit=9)) == 6


def test_category_leaves_out_all_others_and_an_unknown_one_everything():
    vectors = random_unit(4)
    listed = no_vectors(SIZE).extended(parts(A, vectors, ["legal", None, "legal", "people"]))
    found = [place for place, _ in listed.nearest(vectors[1], limit=9, category="legal")]
    assert sorted(found) == [(A, 1), (A, 3)]
    assert listed.nearest(vectors[1], limit=9, category="none") == []


def test_vectors_of_another_width_are_left_out():
    wrong = (B, 0, B, "legal", bytes(SIZE + 1))
    assert len(no_vectors(SIZE).extended([wrong, *parts(A, random_unit(2))])) == 2
    assert no_vectors(SIZE).nearest(random_unit(1)[0], limit=5) == []


def test_item_of_both_lists_comes_before_the_first_of_one():
    merged = fused({"words": ["a", "b"], "meaning": ["c", "b"]})
    assert [item for item, _, _ in merged] == ["b", "a", "c"]
    assert merged[0][1:] == (pytest.approx(2 / 62), ["words", "meaning"])
