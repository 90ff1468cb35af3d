"""The text of an API key: created and read here, stored elsewhere as its hash alone.

`rsk_`, then 86 base62 characters (the account's id, 32 random bytes, a signature of 16 bytes), then 6 of
their CRC32. A secret scanner recognises a key by prefix, length and checksum. The signature rejects an
invented key without the database, and the id names the account before its body is received.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import zlib
from uuid import UUID

from service.config.settings import Config
from service.errors import Unauthenticated

PREFIX = "rsk_"
HINT_CHARS = 4
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_BYTES, _RANDOM_BYTES, _SIGNATURE_BYTES = 16, 32, 16
_SIGNED_BYTES = _ID_BYTES + _RANDOM_BYTES
_BODY_CHARS = 86  # 64 bytes
_CHECKSUM_CHARS = 6  # 4 bytes
KEY_CHARS = len(PREFIX) + _BODY_CHARS + _CHECKSUM_CHARS
_INVALID = (
    "The API key is not valid: it is incomplete, was deleted or replaced, or its account is disabled. "
    "GET /api/v1/auth/keys lists your keys; POST there creates one."
)


def invalid_key() -> Unauthenticated:
    """Return the error of a key that is not, or no longer, valid."""
    return Unauthenticated(_INVALID)


class KeyMaker:
    """Signs and reads API keys with the SECRET_KEY of one configuration."""

    def __init__(self, config: Config) -> None:
        self._signing_key = hashlib.sha256(b"api-key\0" + config.secret_key.encode()).digest()

    def new_key(self, user_id: UUID) -> str:
        """Return a fresh key of an account."""
        signed = user_id.bytes + secrets.token_bytes(_RANDOM_BYTES)
        text = PREFIX + _base62(signed + self._signature(signed), _BODY_CHARS)
        return text + _checksum(text)

    def read(self, text: str) -> UUID:
        """Return the id of the account that a key was made for; the key may have been deleted since.

        Raises:
            Unauthenticated: this service did not make the key.
        """
        body, checksum = text[:-_CHECKSUM_CHARS], text[-_CHECKSUM_CHARS:]
        if len(text) != KEY_CHARS or not body.startswith(PREFIX) or _checksum(body) != checksum:
            raise invalid_key()
        try:
            content = _from_base62(body.removeprefix(PREFIX), _SIGNED_BYTES + _SIGNATURE_BYTES)
        except (ValueError, OverflowError) as error:
            raise invalid_key() from error
        signed, signature = content[:_SIGNED_BYTES], content[_SIGNED_BYTES:]
        if not hmac.compare_digest(signature, self._signature(signed)):
            raise invalid_key()
        return UUID(bytes=signed[:_ID_BYTES])

    def _signature(self, signed: bytes) -> bytes:
        return hmac.digest(self._signing_key, signed, "sha256")[:_SIGNATURE_BYTES]


def key_hash(text: str) -> str:
    """Return the sha256 (hex) under which a key is stored. It has 256 random bits, so it needs no salt."""
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()).to_bytes(4, "big"), _CHECKSUM_CHARS)


def _base62(data: bytes, n_chars: int) -> str:
    number, digits = int.from_bytes(data, "big"), []
    for _ in range(n_chars):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def _from_base62(text: str, n_bytes: int) -> bytes:
    """Return the bytes; ValueError or OverflowError if `text` is not base62 or encodes more."""
    number = 0
    for character in text:
        number = number * len(_DIGITS) + _DIGITS.index(character)
    return number.to_bytes(n_bytes, "big")
