"""What neighbours add to a sentence's logits, against the definition written out."""

import numpy as np
import pytest

from service.nlp import arrays
from service.nlp.inference.neighbour_context import (
    RADIUS,
    block_logits,
    document_logits,
    own_logits,
)

N_TYPES = 37


def outputs(n):
    return np.random.default_rng(n).normal(size=(n, 3 * N_TYPES)).astype(np.float32)


def by_definition(given, file_rows=()):
    file = [sum(row <= i for row in file_rows) for i in range(len(given))]
    own, to_next, near = (given[:, k * N_TYPES : (k + 1) * N_TYPES] for k in range(3))
    rows = []
    for i in range(len(given)):
        around = [j for j in range(len(given)) if 0 < abs(i - j) <= RADIUS and file[i] == file[j]]
        influence = near[around].mean(axis=0) if around else 0
        rows.append(own[i] + influence + (to_next[i - 1] if i - 1 in around else 0))
    return np.array(rows)


@pytest.mark.parametrize("rows_at_once", [1, RADIUS, 4_096])
@pytest.mark.parametrize("n", [2, 3, RADIUS + 1, 2 * RADIUS + 1, 40])
def test_logits_in_document_are_own_plus_what_neighbours_say(n, rows_at_once, monkeypatch):
    monkeypatch.setattr(arrays, "ROWS", rows_at_once)
    given = outputs(n)
    assert document_logits(given, N_TYPES) == pytest.approx(by_definition(given), abs=1e-5)


@pytest.mark.parametrize("rows_at_once", [1, RADIUS, 4_096])
@pytest.mark.parametrize("file_rows", [[0], [1], [5, 5, 6], [0, 17, 39, 40], [3, 40, 40]])
def test_logits_are_not_influenced_by_another_file(file_rows, rows_at_once):
    given, row_of = outputs(40), np.arange(40)
    blocks = [slice(at, min(at + rows_at_once, 40)) for at in range(0, 40, rows_at_once)]
    logits = [
        block_logits(given, row_of, block, n_types=N_TYPES, file_rows=np.array(file_rows))
        for block in blocks
    ]
    assert np.concatenate(logits) == pytest.approx(by_definition(given, file_rows), abs=1e-5)


def test_document_logits_of_one_sentence_are_its_own():
    given = outputs(1)
    assert np.array_equal(document_logits(given, N_TYPES), own_logits(given, N_TYPES))


def test_logits_in_document_without_influence_are_the_networks():
    given = outputs(9)[:, :N_TYPES]
    assert np.array_equal(document_logits(given, N_TYPES), given)


def test_logits_in_document_leaves_its_input_as_it_was():
    given = outputs(9)
    before = given.copy()
    document_logits(given, N_TYPES)
    assert np.array_equal(given, before)


def test_document_logits_of_no_sentences_are_none():
    assert document_logits(outputs(0), N_TYPES).shape == (0, N_TYPES)
