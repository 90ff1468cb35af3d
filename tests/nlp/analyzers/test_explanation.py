"""Which words carry a score, measured by leaving each out."""

import pytest

from service.errors import InvalidRequest
from service.nlp.analyzers.explanation import MAX_WORDS, explain
from tests.nlp.analyzers.test_sentence_scorer import LengthScorer


def test_explain_effect_of_a_word_is_the_score_that_goes_with_it():
    why = explain(LengthScorer(), ["Short.", "It isn't a 4.5-fold increase."], 1, 0)
    assert why.score == pytest.approx(0.29)
    effects = [(word.text, round(100 * word.effect)) for word in why.words]
    assert effects == [("It", 2), ("isn't", 5), ("a", 1), ("4.5-fold", 8), ("increase", 8)]


def test_explain_sentence_without_words_has_a_score_only():
    assert explain(LengthScorer(), ["!!!"], 0, 0).words == ()


def test_explain_reads_sentences_up_to_the_limit(local):
    assert len(explain(local, ["a " * MAX_WORDS], 0, 0).words) == MAX_WORDS
    with pytest.raises(InvalidRequest, match=str(MAX_WORDS + 1)):
        explain(local, ["a " * (MAX_WORDS + 1)], 0, 0)
