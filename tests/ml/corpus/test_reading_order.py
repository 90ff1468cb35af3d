import numpy as np

from ml.corpus.dataset import Example
from ml.corpus.reading_order import by_document, logits_in_documents, sentence_numbers
from service.nlp.inference.neighbour_context import document_logits

N_TYPES = 37
OUTPUTS = np.random.default_rng(0).normal(size=(6, 3 * N_TYPES)).astype(np.float32)


def example(doc, number):
    return Example("A sentence.", (), doc=doc, id="" if number is None else f"q{number:05}")


def test_by_document_with_numbered_ids_follows_them():
    examples = [example("a", 12), example("b", 3), example("a", 9), example("a", 10)]
    assert by_document(examples) == [[2, 3, 0], [1]]


def test_the_place_of_a_row_overrides_the_number_in_its_id():
    examples = [
        Example("A.", (), "a", id="q00001", place=8),
        Example("B.", (), "a", id="q00002", place=3),
    ]
    assert by_document(examples) == [[1, 0]]
    assert sentence_numbers([1, 0], examples) == [3, 8]


def test_by_document_without_numbers_keeps_the_file_order():
    examples = [example("a", 12), example("a", None), example("a", 9)]
    assert by_document(examples) == [[0, 1, 2]]


def test_numbers_that_repeat_count_something_else_and_the_file_order_stays():
    examples = [Example("A.", (), "a", id=f"page-{n}-{k}") for n in (1, 2) for k in (2, 1)]
    assert by_document(examples) == [[0, 1, 2, 3]]
    assert sentence_numbers([0, 1, 2, 3], examples) == [0, 1, 2, 3]


def test_sentence_numbers_show_gaps_between_ids():
    examples = [example("a", 4), example("a", 5), example("a", 9), example("b", None)]
    assert sentence_numbers([0, 1, 2], examples) == [4, 5, 9]
    assert sentence_numbers([3], examples) == [0]


def test_logits_in_documents_equal_those_of_each_document_alone():
    examples = [example(doc, k) for k, doc in enumerate("abab" + "cb")]
    logits = logits_in_documents(OUTPUTS, examples, N_TYPES)
    assert np.array_equal(logits[[0, 2]], document_logits(OUTPUTS[[0, 2]], N_TYPES))
    assert np.array_equal(logits[[1, 3, 5]], document_logits(OUTPUTS[[1, 3, 5]], N_TYPES))
    assert np.array_equal(logits[4], OUTPUTS[4, :N_TYPES])
