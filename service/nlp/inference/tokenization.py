"""Turns sentences into windows of token ids, without truncating or skipping text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from service.config.cpus import all_cpus
from service.errors import ArtifactError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_WHOLE_TOKENS = 128
"""A longer sentence is scored in windows. The special tokens around it count."""

WINDOW_TOKENS = 40
"""Size of the windows over a longer sentence. The classifier averages over tokens, so a small window
dilutes a risky clause least, but raises more false alarms. Measured in November 2026 with riskscan-minilm
1.0.0 on 240 run-on sentences with one risk among twelve harmless clauses, and on 240 without a risk. As
sentences of their own, 82 % of these risks are found.

    tokens             24    32    40    48    64    96   128
    risk found, %      93    93    86    84    78    65    46
    false alarms, %    73    63    54    50    45    36    23

Twelve such clauses as separate sentences raise a false alarm in 61 % of the cases. Of the sizes below that
rate, 40 finds the most risks.
"""

_MIN_BATCH = 4
"""Fewer sentences are tokenized one by one: a batch releases the GIL and wakes a thread pool."""

MAX_WORD_CHARS = 100  # WordPiece replaces a longer word by one [UNK]
_WORD_PART_CHARS = 33
_LONG_WORD = re.compile(r"[^\s!-/:-@\[-`{-~]{34,}")  # WordPiece splits at ASCII punctuation


class Windower:
    """Turns sentences into windows of token ids. Thread-safe.

    The settings of its tokenizer must not change: a thread that changes the truncation of a shared tokenizer
    silently changes other threads' results.
    """

    def __init__(self, tokenizer: Tokenizer, max_length_tokens: int) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._first, self._last = _special_tokens(tokenizer)
        self._whole = min(max_length_tokens, MAX_WHOLE_TOKENS) - 2
        self._size = min(self._whole, WINDOW_TOKENS - 2)

    def windows(self, sentences: Sequence[str]) -> list[list[list[int]]]:
        """Return the windows of each sentence, at least one, with the special tokens around it."""
        texts = [split_long_words(sentence) for sentence in sentences]
        if len(texts) < _MIN_BATCH:
            encodings = [self._tokenizer.encode(text, add_special_tokens=False) for text in texts]
        else:
            with all_cpus():  # the first batch starts the tokenizer's threads
                encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [
            [[self._first, *part, self._last] for part in self._parts(encoding.ids)]
            for encoding in encodings
        ]

    def _parts(self, ids: list[int]) -> Iterator[list[int]]:
        return overlapping(ids, self._whole if len(ids) <= self._whole else self._size)


def overlapping(ids: list[int], size: int) -> Iterator[list[int]]:
    """Yield `ids` in windows of at most `size` that overlap by half; the last one ends with `ids`."""
    stride = size // 2
    last = max(0, len(ids) - size)
    for start in range(0, last, stride):
        yield ids[start : start + size]
    yield ids[last:]


def split_long_words(sentence: str) -> str:
    """Insert spaces into words that WordPiece would replace by [UNK]. Only the model sees the result.

    Lone surrogates, which the tokenizer rejects, become question marks.
    """
    return _LONG_WORD.sub(_split_word, sentence.encode("utf-8", "replace").decode("utf-8"))


def _special_tokens(tokenizer: Tokenizer) -> tuple[int, int]:
    """Return what the tokenizer puts around each sentence, such as [CLS] and [SEP], or <s> and </s>."""
    around = tokenizer.encode("").ids
    if len(around) != 2:
        raise ArtifactError(
            f"The tokenizer puts {len(around)} special tokens around a sentence instead of two; export a "
            "model whose tokenizer puts one before and one after it."
        )
    return around[0], around[1]


def _split_word(match: re.Match[str]) -> str:
    word = match.group()
    # The tokenizer counts characters after NFD, where a Hangul syllable becomes three: hence 33 a part.
    if len(unicodedata.normalize("NFD", word)) <= MAX_WORD_CHARS:
        return word
    parts = range(0, len(word), _WORD_PART_CHARS)
    return " ".join(word[i : i + _WORD_PART_CHARS] for i in parts)
