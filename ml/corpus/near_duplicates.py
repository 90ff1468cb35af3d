"""Sentences that are nearly the same: most word triples of the shorter are in the longer."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

SIMILARITY = 0.75
_WORDS = re.compile(r"\w+")
_COMMON = 200
"""A triple in more sentences than this tells nothing, and would make the search quadratic."""


def near_duplicates(texts: Sequence[str], of: Sequence[str]) -> dict[int, int]:
    """Return, for each of `texts` that is nearly one of `of`, its index and the other's.

    Nearly: at least SIMILARITY of the word triples of the one with fewer are the other's, case and
    punctuation aside; sentences of up to three words must be equal.
    """
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    theirs = [_triples(text) for text in of]
    for k, triples in enumerate(theirs):
        for triple in triples:
            holders[triple].append(k)
    found = {}
    for i, text in enumerate(texts):
        mine = _triples(text)
        shared = Counter(k for triple in mine for k in holders.get(triple, ())[:_COMMON])
        for k, n in shared.most_common(1):
            if n >= SIMILARITY * min(len(mine), len(theirs[k])):
                found[i] = k
    return found


def _triples(text: str) -> set[tuple[str, ...]]:
    words = _WORDS.findall(text.casefold())
    if len(words) <= 3:
        return {tuple(words)}
    return {tuple(words[k : k + 3]) for k in range(len(words) - 2)}
