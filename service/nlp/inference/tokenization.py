"""Sentences in, windows of token ids out: nothing is cut off, nothing is skipped."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from service.errors import ArtifactError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_WHOLE_TOKENS = 128
"""Most tokens of a sentence that is scored whole, [CLS] and [SEP] included."""

WINDOW_TOKENS = 40
"""Size of the windows over a longer one. The classifier takes the mean over the tokens, so a small window
dilutes one risky clause least, and raises the most false alarms. Measured with riskscan-minilm 1.0.0 on
240 risks (82 % of them found alone), each among twelve harmless clauses of one run, and on 240 runs
without a risk; November 2026:

    tokens             24    32    40    48    64    96   128
    risk found, %      93    93    86    84    78    65    46
    false alarms, %    73    63    54    50    45    36    23

As sentences of their own, twelve such clauses raise a false alarm in 61 % of runs: 40 finds most below that.
"""

_FEW = 4
"""Sentences below which a batch does not pay: it lets the GIL go and asks a pool of threads."""

MAX_WORD_CHARS = 100  # WordPiece turns a longer word into one [UNK]
_WORD_PART_CHARS = 33
_LONG_WORD = re.compile(r"[^\s!-/:-@\[-`{-~]{34,}")  # WordPiece splits at ASCII punctuation


class Windower:
    """Turns sentences into token windows, for any number of threads.

    Nobody may change the settings of its tokenizer: threads that share one and change how it truncates get
    wrong cuts, and no error.
    """

    def __init__(self, tokenizer: Tokenizer, max_length_tokens: int) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._first, self._last = _id(tokenizer, "[CLS]"), _id(tokenizer, "[SEP]")
        self._whole = min(max_length_tokens, MAX_WHOLE_TOKENS) - 2
        self._size = min(self._whole, WINDOW_TOKENS - 2)

    def windows(self, sentences: Sequence[str]) -> list[list[list[int]]]:
        """Return the windows of each sentence, at least one each, [CLS] and [SEP] included."""
        texts = [split_long_words(sentence) for sentence in sentences]
        if len(texts) < _FEW:
            encodings = [self._tokenizer.encode(text, add_special_tokens=False) for text in texts]
        else:
            encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [
            [[self._first, *part, self._last] for part in self._parts(encoding.ids)]
            for encoding in encodings
        ]

    def _parts(self, ids: list[int]) -> Iterator[list[int]]:
        return overlapping(ids, self._whole if len(ids) <= self._whole else self._size)


def overlapping(ids: list[int], size: int) -> Iterator[list[int]]:
    """Yield `ids` whole, or in windows of `size` that overlap by half; the last ends at the end."""
    stride = size // 2
    last = max(0, len(ids) - size)
    for start in range(0, last, stride):
        yield ids[start : start + size]
    yield ids[last:]


def split_long_words(sentence: str) -> str:
    """Put spaces into words that WordPiece would take for unknown; for the model's eyes only.

    Lone surrogates, which the tokenizer refuses, become question marks.
    """
    return _LONG_WORD.sub(_split_word, sentence.encode("utf-8", "replace").decode("utf-8"))


def _id(tokenizer: Tokenizer, token: str) -> int:
    number = tokenizer.token_to_id(token)
    if number is None:
        raise ArtifactError(f"The tokenizer has no {token}; export the model again.")
    return number


def _split_word(match: re.Match[str]) -> str:
    word = match.group()
    # The tokenizer counts after NFD: a Hangul syllable becomes three characters, hence 33 a part.
    if len(unicodedata.normalize("NFD", word)) <= MAX_WORD_CHARS:
        return word
    parts = range(0, len(word), _WORD_PART_CHARS)
    return " ".join(word[i : i + _WORD_PART_CHARS] for i in parts)
