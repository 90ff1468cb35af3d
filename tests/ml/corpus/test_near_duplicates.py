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


def test_near_duplicates_a_short_copy_counts_beside_a_long_sentence_that_shares_more():
    longer = (
        "We know that the certificate has since expired and that nobody at all has asked for it"
    )
    text = "The certificate has since expired and that is why which office renews it is unclear"
    assert near_duplicates([text], [longer, "Which office renews it"]) == {0: 1}


def test_near_duplicates_the_first_of_equally_similar_sentences_is_named():
    parts = ["The crane was last inspected", "the certificate has since expired"]
    assert near_duplicates([LONG], parts) == {0: 0}
    assert near_duplicates([LONG], parts[::-1]) == {0: 0}
