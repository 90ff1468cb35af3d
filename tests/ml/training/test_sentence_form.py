"""The forms in which a network reads sentences."""

import pytest
from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer

from ml.training.sentence_form import read_in_form
from service.config.settings import load
from service.nlp.artifacts import artifact as artifacts

_FORMS_OF_ONE = (
    "The key is lost.",
    "The key is lost",
    "- The key is lost;",
    "• The key is lost",
    "1. (a) The key is lost.",
    "  12) THE KEY IS LOST ...",
)


@pytest.fixture
def tokenizer() -> Tokenizer:
    """The shipped tokenizer without its form."""
    shipped = artifacts.load(load().model_dir).tokenizer()
    shipped.normalizer = BertNormalizer()
    return shipped


@pytest.mark.parametrize(("form", "expected"), [("bare", "lost"), ("stopped", "lost .")])
def test_all_forms_of_a_sentence_are_the_same_tokens(tokenizer, form, expected):
    read_in_form(tokenizer, form)
    tokens = {tuple(tokenizer.encode(text).tokens) for text in _FORMS_OF_ONE}
    assert tokens == {("[CLS]", "the", "key", "is", *expected.split(), "[SEP]")}


def test_the_written_form_changes_nothing(tokenizer):
    before = tokenizer.to_str()
    read_in_form(tokenizer, "written")
    assert tokenizer.to_str() == before


@pytest.mark.parametrize(
    "text",
    ["E. coli was found", "5 people left", "Is it safe?", "Warning:", "a (b) c", "-5 degrees"],
)
def test_only_marks_of_a_list_and_full_stops_are_left_out(tokenizer, text):
    before = tokenizer.encode(text).ids
    read_in_form(tokenizer, "bare")
    assert tokenizer.encode(text).ids == before


def test_a_sentence_of_marks_alone_is_empty(tokenizer):
    read_in_form(tokenizer, "stopped")
    assert tokenizer.encode(" ... ;").tokens == ["[CLS]", "[SEP]"]


def test_the_form_travels_with_the_tokenizer(tokenizer):
    read_in_form(tokenizer, "bare")
    again = Tokenizer.from_str(tokenizer.to_str())
    assert again.encode(_FORMS_OF_ONE[0]).ids == again.encode(_FORMS_OF_ONE[4]).ids


def test_an_unknown_form_is_refused(tokenizer):
    with pytest.raises(ValueError, match="no form"):
        read_in_form(tokenizer, "shouted")
