"""Why a sentence has its score: how the score changes if one of its words is left out.

This measures the serving model itself, without a second model that imitates it. Words that carry a score
only together each change it little.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from service.errors import InvalidRequest
from service.nlp.analyzers.base import SentenceScorer
from service.nlp.arrays import NO_ROWS, Rows
from service.nlp.deadline import Deadline

MAX_WORDS = 128
"""Longest sentence that is explained: each word costs a reading of the sentence."""
_WORD = re.compile(r"\w+(?:['\u2019.,-]\w+)*")


@dataclass(frozen=True, slots=True)
class WordEffect:
    """A word's span in its sentence, and the score with it minus the score without it, in [-1, 1]."""

    start: int
    end: int
    text: str
    effect: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """The score of a sentence for one risk type, and the effect of each of its words, in order."""

    score: float
    words: tuple[WordEffect, ...]


def explain(
    scorer: SentenceScorer,
    sentences: Sequence[str],
    at: int,
    column: int,
    *,
    file_rows: Rows = NO_ROWS,
    deadline: Deadline | None = None,
) -> Explanation:
    """Explain the score of sentence `at` of `sentences` for the risk type of `column`.

    `file_rows` has the sentences with which another file of the document begins.

    Raises:
        InvalidRequest: the sentence has more than MAX_WORDS words.
    """
    sentence = sentences[at]
    words = [*_WORD.finditer(sentence)]
    if len(words) > MAX_WORDS:
        raise InvalidRequest(
            f"This sentence has {len(words)} words; sentences of up to {MAX_WORDS} are explained."
        )
    without = [sentence[: word.start()] + sentence[word.end() :] for word in words]
    rows = scorer.variant_scores(
        sentences, at, [sentence, *without], file_rows=file_rows, deadline=deadline
    )
    score, *others = (float(row[column]) for row in rows)
    effects = (
        WordEffect(word.start(), word.end(), word.group(), score - other)
        for word, other in zip(words, others, strict=True)
    )
    return Explanation(score, tuple(effects))
