"""Finds where sentences begin in a piece of text: spaCy's Sentencizer, corrected for abbreviations.

spaCy is imported inside the class.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from service.nlp.span import Span

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

MAX_WORDS = 30_000
"""Words that spaCy may cache, at 700 bytes each. When it has more, a new instance replaces it."""
TOKENIZER_CACHE_ENTRIES = 50_000

# A space between two words of letters alone: spaCy's tokens on one side do not depend on the other.
_PLAIN_WORDS = re.compile(r"(?<!\S)[A-Za-z]+(?: [A-Za-z]+){2,}(?!\S)")
# White space is a token too. Long runs become uniform, so that spaCy caches few of them.
_LONG_SPACE = re.compile(r"(?<=\s)\s{40,}")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")  # spaCy raises UnicodeEncodeError at one

# fmt: off
_NEVER_LAST = frozenset((
    "cf", "vs", "approx", "incl", "resp", "viz", "ca", "dr", "mr", "mrs", "ms", "prof", "messrs",
))
_BEFORE_NUMBER = frozenset((
    "no", "nos", "nr", "fig", "figs", "sec", "sect", "art", "arts", "vol", "vols", "p", "pp",
    "eq", "eqs", "ref", "refs", "ch", "chap", "para", "paras", "pt", "cl", "ex", "app", "tab",
    "rev", "min", "max", "reg", "al",
))
# fmt: on
_BEFORE_LOWER_CASE = frozenset(("etc", "al", "inc", "ltd", "co", "corp", "max", "min", "est"))
_ENUMERATOR = re.compile(r"\(?(\d[\d.]{0,7}|[A-Za-z]|[ivxIVX]{1,5})[.)]")
_OPENING = frozenset("([{\"'\u2018\u201c\u00ab")


class SentenceStarts:
    """Finds sentence starts. Not thread-safe, since spaCy's vocabulary grows with the text."""

    def __init__(self, *, max_words: int = MAX_WORDS) -> None:
        from spacy.lang.lex_attrs import is_punct  # noqa: PLC0415 - heavy, and only scans need it
        from spacy.pipeline import Sentencizer  # noqa: PLC0415

        self.end_marks: tuple[str, ...] = tuple(Sentencizer.default_punct_chars)
        self._max_words = max_words
        self._is_punct = is_punct
        # A regex class tests single characters above U+FFFF one by one, so it gets their whole range.
        marks = re.escape("".join(mark for mark in self.end_marks if mark <= "\uffff"))
        marks += "\U00010000-\U0010ffff"
        self._end = re.compile(f"[{marks}]")
        self._inner_end = re.compile(f"[{marks}](?!$)")
        self._nlp = _new_language()
        hash_of = self._nlp.vocab.strings  # the same in every vocabulary
        self._end_hashes = frozenset(hash_of[mark] for mark in self.end_marks)

    @property
    def n_words(self) -> int:
        """Number of words in spaCy's caches; it exceeds the limit by at most the words of one chunk."""
        return len(self._nlp.vocab)

    def forget_words(self) -> None:
        """Empty spaCy's caches if they hold more words than allowed."""
        if self.n_words > self._max_words:
            self._nlp = _new_language()

    def has_inner_end(self, source: str) -> bool:
        """Return whether `source` may have more than one sentence."""
        return self._inner_end.search(source.rstrip()) is not None

    def find(self, source: str) -> list[int]:
        """Return the offsets at which sentences begin, the first 0."""
        source = _LONG_SPACE.sub(_line_breaks, _LONE_SURROGATE.sub("\ufffd", source))
        parts = self.parts_with_ends(source)
        begins = list(accumulate((end + 1 - start for start, end in parts), initial=0))
        doc = self._nlp.tokenizer(" ".join([source[start:end] for start, end in parts]))
        starts = [0]
        for first in self.first_tokens(doc):
            token = _before_opening(doc, first)
            part = bisect_right(begins, doc[token].idx) - 1
            start = parts[part][0] + doc[token].idx - begins[part]
            before = source[starts[-1] : start].strip()
            if before and not _ENUMERATOR.fullmatch(before) and not _continues(doc, token):
                starts.append(start)
        return starts

    def first_tokens(self, doc: Doc) -> Iterator[int]:
        """Yield the tokens that begin a sentence, except the first, as spaCy's Sentencizer finds them."""
        ended = False
        for i, word in enumerate(doc.to_array("ORTH").tolist()):
            if word in self._end_hashes:
                ended = True
            elif ended and not self._is_punct(doc[i].text):
                ended = False
                yield i

    def parts_with_ends(self, source: str) -> list[Span]:
        """Return the parts of `source` with sentence ends, each from a plain word to a plain word.

        The tokenizer does not read the rest, three quarters of prose. The parts, joined by spaces, have the
        same tokens: white space ends every token but spaCy's special cases, and none of these has two words
        of letters alone in a row.
        """
        parts = []
        start = 0
        for run in _PLAIN_WORDS.finditer(source):
            end = source.index(" ", run.start())
            if self._end.search(source, start, end):
                parts.append((start, end))
            start = source.rindex(" ", end, run.end()) + 1
        return [*parts, (start, len(source))]


def _new_language() -> Language:
    """Return spaCy's rules for English with an empty vocabulary, in 0.1 s."""
    from spacy.lang.en import English  # noqa: PLC0415 - see SentenceStarts

    nlp = English()
    nlp.vocab.lex_attr_getters = {}  # type: ignore[attr-defined]  # 23 getters run for each word, and none is used here
    nlp.tokenizer.max_cache_size = TOKENIZER_CACHE_ENTRIES  # type: ignore[union-attr]
    return nlp


def _line_breaks(space: re.Match[str]) -> str:
    return "\n" * len(space.group())


def _before_opening(doc: Doc, start: int) -> int:
    """Return the first of the opening brackets or quotes before token `start`, or `start`."""
    while start > 1 and doc[start - 1].text in _OPENING and doc[start - 2].whitespace_:
        start -= 1
    return start


def _continues(doc: Doc, start: int) -> bool:
    """Return whether the sentence before token `start` continues there: "No. 5", "etc. and"."""
    if doc[start - 1].text != "." or start < 2:
        return False
    last, following = doc[start - 2].text.lower(), doc[start].text
    return (
        last in _NEVER_LAST
        or (last in _BEFORE_NUMBER and following.lstrip("([")[:1].isdigit())
        or (last in _BEFORE_NUMBER and following in {"(", "["})
        or (last in _BEFORE_LOWER_CASE and following[:1].islower())
    )
