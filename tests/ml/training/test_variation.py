"""Varied sentences keep their words, and masks spare the special tokens."""

import random
from dataclasses import replace

import pytest

from ml import settings
from ml.training.base import BaseTokenizer
from ml.training.variation import Variation, masked, varied
from service.config.settings import ROOT
from service.errors import ConfigError
from tests.support.encoders import SPECIAL, word_tokenizer

RECIPE = settings.load(ROOT / "ml/configs/retrain.toml").train
MASK = SPECIAL["bert"].index("[MASK]")


def test_varied_sentence_keeps_its_words():
    rng = random.Random(1)
    seen = {varied("The budget is tight.", rng) for _ in range(200)}
    assert all("The budget is tight" in text for text in seen)
    assert "The budget is tight" in seen
    for mark in ("- ", "• ", "1. ", "(a) "):
        assert any(text.startswith(mark) for text in seen), mark


def test_sentence_without_a_full_stop_gains_a_mark():
    rng = random.Random(1)
    seen = {varied("Who pays?", rng) for _ in range(50)}
    assert all(text.endswith(" Who pays?") for text in seen)


def test_mask_takes_its_share_and_spares_both_ends():
    ids = masked([2, *range(10, 1010), 3], MASK, 0.2, random.Random(1))
    assert (ids[0], ids[-1]) == (2, 3)
    assert 150 < ids.count(MASK) < 250
    assert all(i in (MASK, plain) for i, plain in zip(ids[1:-1], range(10, 1010), strict=True))


def test_variation_depends_on_the_random_generator_alone():
    recipe = replace(RECIPE, vary_share=0.5, mask_share=0.2)
    tokenizer = BaseTokenizer(word_tokenizer("bert"), MASK)
    variation = Variation(["The budget is tight."] * 8, tokenizer, recipe)
    first, again, other = (variation.ids(range(8), random.Random(seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_mask_share_without_a_mask_token_names_the_setting():
    tokenizer = BaseTokenizer(word_tokenizer("bert"), None)
    with pytest.raises(ConfigError, match="mask_share needs a mask token"):
        Variation([], tokenizer, replace(RECIPE, mask_share=0.1))
