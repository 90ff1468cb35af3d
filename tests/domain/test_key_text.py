"""The text of API keys: shape, checksum and signature."""

import re
import uuid
import zlib

import pytest

from service.domain.api_keys.key_text import KEY_CHARS, KeyMaker
from service.errors import Unauthenticated

USER_ID = uuid.uuid4()
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def keys(config):
    return KeyMaker(config)


def test_key_names_its_account(keys):
    assert keys.read(keys.new_key(USER_ID)) == USER_ID
    assert keys.new_key(USER_ID) != keys.new_key(USER_ID)


def test_key_has_the_shape_that_a_secret_scanner_looks_for(keys):
    key = keys.new_key(USER_ID)
    assert re.fullmatch(r"rsk_[0-9A-Za-z]{92}", key)
    number = 0
    for character in key[-6:]:
        number = number * 62 + DIGITS.index(character)
    assert number == zlib.crc32(key[:-6].encode())


@pytest.mark.parametrize("n", [4, 30, 60, 89, 95])
def test_key_with_a_changed_character_is_refused(keys, n):
    key = keys.new_key(USER_ID)
    changed = key[:n] + ("A" if key[n] != "A" else "B") + key[n + 1 :]
    with pytest.raises(Unauthenticated):
        keys.read(changed)


@pytest.mark.parametrize("text", ["", "rsk_", "x" * KEY_CHARS, "rsk_" + "z" * 92, "\u00e9" * 96])
def test_text_that_is_no_key_is_refused(keys, text):
    with pytest.raises(Unauthenticated):
        keys.read(text)


def test_key_of_another_secret_is_refused_though_its_checksum_is_right(keys, config):
    other = KeyMaker(config.model_copy(update={"secret_key": "o" * 32}))
    with pytest.raises(Unauthenticated):
        keys.read(other.new_key(USER_ID))
