"""Turns text into search terms: what the full-text indexes of all databases contain.

A term is a kind, an owner and the stem of a word, all in one: the index keeps each owner's postings apart, so
that a common word costs a search the owner's rows with it, not everyone's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

import snowballstemmer  # type: ignore[import-untyped]

MAX_WORD_CHARS = 40
"""InnoDB ignores terms of more than 84 characters."""
MAX_QUERY_WORDS = 32
EVERYONE = "x"
"""Stands for the owner in the terms by which everyone's rows are found; no owner's part has this letter."""
_OWNER_CHARS = 12
_WORD = re.compile(r"[^\W_]+")
_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be been but by can could did do does for from had has have he her his i if in "
        "into is it its may might of on or our shall she should so such than that the their them then there "
        "these they this those to was we were what when which who will with would you your",
    )
)


class Kind(StrEnum):
    """What search finds. A further kind needs terms of its own, and rows of SearchWords or of a new table."""

    FINDING = "finding"
    DOCUMENT = "document"
    LESSON = "lesson"


def stems(text: str) -> list[str]:
    """Return the stems of the words of a text in order, without stop words; any of them may repeat."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    words = _WORD.findall("".join(c for c in plain if not unicodedata.combining(c)))
    return [_stem(word[:MAX_WORD_CHARS]) for word in words if word not in _STOP_WORDS]


def stored_terms(kind: Kind, owner_id: UUID | None, words: Iterable[str]) -> str:
    """Return the terms of a row from stems of its text: those of its owner if it has one, then everyone's."""
    listed = list(words)
    prefixes = dict.fromkeys((_prefix(kind, owner_id), _prefix(kind, None)))
    return " ".join(f"{prefix}{word}" for prefix in prefixes for word in listed)


def wanted_terms(kind: Kind, owner_ids: Iterable[UUID | None], words: Iterable[str]) -> list[str]:
    """Return the terms that find rows of some owners with the words; None stands for everyone."""
    listed = list(dict.fromkeys(words))[:MAX_QUERY_WORDS]
    return [f"{_prefix(kind, owner_id)}{word}" for owner_id in owner_ids for word in listed]


def _prefix(kind: Kind, owner_id: UUID | None) -> str:
    owner = EVERYONE if owner_id is None else owner_id.hex[-_OWNER_CHARS:]
    return f"{kind[0]}{owner}"


@lru_cache(maxsize=20_000)
def _stem(word: str) -> str:
    stem: str = snowballstemmer.stemmer("english").stemWord(word)
    return stem
