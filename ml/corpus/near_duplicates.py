"""Near-duplicates: pairs of sentences that share most word triples of the shorter one."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

SIMILARITY = 0.75
_WORDS = re.compile(r"\w+")
_COMMON = 200
"""Sentences compared per triple: common triples identify no copy, and comparing all would be quadratic."""


def near_duplicates(texts: Sequence[str], references: Sequence[str]) -> dict[int, int]:
    """Return the indices of `texts` that have a near-duplicate in `references`, with its index there.

    Near-duplicates share at least SIMILARITY of the word triples of the one with fewer, ignoring case and
    punctuation; sentences of up to three words must be equal.
    """
    rows_by_triple: dict[tuple[str, ...], list[int]] = defaultdict(list)
    reference_triples = [_triples(text) for text in references]
    for k, triples in enumerate(reference_triples):
        for triple in triples:
            rows_by_triple[triple].append(k)
    duplicates = {}
    for i, text in enumerate(texts):
        own = _triples(text)
        shared = Counter(k for triple in own for k in rows_by_triple.get(triple, ())[:_COMMON])
        similarity = {k: n / min(len(own), len(reference_triples[k])) for k, n in shared.items()}
        # The lowest index wins a tie: the order of `own` differs between processes.
        best = min(similarity, key=lambda k: (-similarity[k], k), default=None)
        if best is not None and similarity[best] >= SIMILARITY:
            duplicates[i] = best
    return duplicates


def _triples(text: str) -> set[tuple[str, ...]]:
    words = _WORDS.findall(text.casefold())
    if len(words) <= 3:
        return {tuple(words)}
    return {tuple(words[k : k + 3]) for k in range(len(words) - 2)}
