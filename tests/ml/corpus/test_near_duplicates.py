"""Near-duplicates are found by their word triples, whatever case and punctuation."""

import pytest

from ml.corpus.near_duplicates import near_duplicates

LONG = "The crane was last inspected in March and the certificate has since expired"


@pytest.mark.parametrize(
    "other",
    [LONG, LONG.upper() + "!", LONG + " (see annex B)", "the certificate has since expired"],
)
def test_near_duplicates_nearly_the_same_sentence_is_one(other: str):
    assert near_duplicates([other], ["Something else.", LONG]) == {0: 1}


@pytest.mark.parametrize(
    "other", ["The crane was sold.", "The certificate of the crane has been renewed in March", ""]
)
def test_near_duplicates_another_sentence_is_none(other: str):
    assert near_duplicates([other], [LONG]) == {}


def test_near_duplicates_short_sentences_must_be_equal():
    assert near_duplicates(["No tests.", "No tests"], ["no tests!", "No test."]) == {0: 0, 1: 0}
