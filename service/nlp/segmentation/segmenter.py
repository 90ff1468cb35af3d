"""Blocks of text in, sentences with character spans out. spaCy is imported inside the class.

Every character that is not white space ends up in exactly one sentence.
"""

from __future__ import annotations

import re
import threading
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import accumulate, chain
from typing import TYPE_CHECKING

import numpy as np

from service.nlp.deadline import Deadline
from service.nlp.document import Block, Document, ExtractedText, Sentence
from service.nlp.segmentation.single_sentence_blocks import SingleSentenceBlocks
from service.nlp.span import Span, trimmed
from service.nlp.span_sequence import SpanSequence, offsets_of

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

NAME = "spacy-sentencizer-en"
VERSION = "1"
"""Goes into each artifact's manifest: raised whenever a rule below changes what a sentence is."""

MAX_SENTENCE_CHARS = 1_500
CHUNK_CHARS = 20_000  # text per turn on the lock, 5 to 10 ms: a note never waits for a book
MAX_WORDS = 30_000  # known when spaCy is replaced by a fresh one; 700 bytes each, with its cache
TOKENIZER_CACHE_ENTRIES = 50_000
_FEW_BLOCKS = 20  # 1.2 µs each one by one; looking at all of them together begins at 30 µs

# Where a piece for spaCy may end with little risk of cutting a sentence: not after "Dr." or "No."
_SAFE_END = re.compile(
    r"[a-z]{4}[.!?][\"')\]\u2019\u201d]{0,2}\s+(?=[\"'(\[\u2018\u201c]{0,2}[A-Z])|[\u3002\uff01\uff1f]"
)
# spaCy's tokenizer takes time that grows with the square of a run without spaces (six punctuation
# marks repeated to 2 MB: 247 s, November 2026), so pieces that hold one are cut by _PLAIN_END alone.
_LONG_RUN = re.compile(r"\S{40}")
_PLAIN_END = re.compile(r"[.!?][\"')\]\u2019\u201d]{0,2}\s+(?=\S?[A-Z])|[\u3002\uff01\uff1f]")
# A space with a word of letters alone on either side: spaCy's tokens on one side do not depend on the other.
_PLAIN_WORDS = re.compile(r"(?<!\S)[A-Za-z]+(?: [A-Za-z]+){2,}(?!\S)")
_LONG_SPACE = re.compile(r"(?<=\s)\s{40,}")  # a token too: all alike, they do not fill the memory
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")  # spaCy raises UnicodeEncodeError at one
_SECOND_BEST_ENDS = (". ", "! ", "? ", "\n", "; ", ", ", " ", "\t", "\u00a0", ";", ",", "\u3001")

_NEVER_LAST = frozenset(
    ["cf", "vs", "approx", "incl", "resp", "viz", "ca", "dr", "mr", "mrs", "ms", "prof", "messrs"]
)
_BEFORE_NUMBER = frozenset(
    [
        "no",
        "nos",
        "nr",
        "fig",
        "figs",
        "sec",
        "sect",
        "art",
        "arts",
        "vol",
        "vols",
        "p",
        "pp",
        "eq",
        "eqs",
        "ref",
        "refs",
        "ch",
        "chap",
        "para",
        "paras",
        "pt",
        "cl",
        "ex",
        "app",
        "tab",
        "rev",
        "min",
        "max",
        "reg",
        "al",
    ]
)
_BEFORE_LOWER_CASE = frozenset(["etc", "al", "inc", "ltd", "co", "corp", "max", "min", "est"])
_ENUMERATOR = re.compile(r"\(?(\d[\d.]{0,7}|[A-Za-z]|[ivxIVX]{1,5})[.)]")
_OPENING = frozenset("([{\"'\u2018\u201c\u00ab")


class Segmenter:
    """Cuts extracted text into sentences; one instance serves all threads."""

    def __init__(self) -> None:
        from spacy.lang.lex_attrs import is_punct  # noqa: PLC0415 - heavy; only who segments pays
        from spacy.pipeline import Sentencizer  # noqa: PLC0415

        self._is_punct = is_punct
        self._single_sentence_blocks = SingleSentenceBlocks(
            Sentencizer.default_punct_chars, max_chars=MAX_SENTENCE_CHARS
        )
        # A class of characters tests each one beyond U+FFFF by itself, so their whole range stands here.
        marks = re.escape("".join(m for m in Sentencizer.default_punct_chars if m <= "\uffff"))
        marks += "\U00010000-\U0010ffff"
        self._end = re.compile(f"[{marks}]")
        self._inner_end = re.compile(f"[{marks}](?!$)")
        self._nlp = _new_language()
        hash_of = self._nlp.vocab.strings  # the same in each vocabulary
        self._end_marks = frozenset(hash_of[m] for m in Sentencizer.default_punct_chars)
        self._lock = threading.Lock()

    def segment(self, extracted: ExtractedText, *, deadline: Deadline | None = None) -> Document:
        """Return the document's sentences: trimmed, none empty, none crossing a block.

        A stretch of more than MAX_SENTENCE_CHARS without a sentence end (a table, a list, a megabyte
        without a space) is cut at the best boundary inside it. Time is linear in the text: prose
        at 2 MB/s, at 3.6 MB/s when its words are known, the worst input found (ever new words of
        three letters) at 0.25 MB/s. One core of an AMD EPYC with AVX2, November 2026.

        Raises:
            AnalyzerTimeout: `deadline` passed.
        """
        spans = offsets_of(extracted.blocks)
        is_whole = np.zeros(len(spans), np.bool_)
        if len(spans) > _FEW_BLOCKS:  # below, looking at them together costs more than it saves
            is_whole = self._single_sentence_blocks.among(extracted.text, spans)
        cut = array("q")
        for chunk in _chunks(extracted.text, SpanSequence(spans[~is_whole], Block)):
            cut.extend(chain.from_iterable(self._segment_chunk(extracted.text, chunk, deadline)))
        found = np.concatenate([spans[is_whole], np.frombuffer(cut, np.int64).reshape(-1, 2)])
        found = found[np.argsort(found[:, 0])]
        pages = replace(extracted, blocks=())
        sentences = SpanSequence(
            found, lambda start, end: Sentence(start, end, pages.page_at(start))
        )
        return Document(extracted.text, sentences, extracted.n_pages, extracted.pages_without_text)

    @property
    def n_words(self) -> int:
        """Number of words that spaCy caches: at most MAX_WORDS plus the words of one chunk of text."""
        return len(self._nlp.vocab)

    def _segment_chunk(
        self, text: str, pieces: list[Block], deadline: Deadline | None
    ) -> list[Span]:
        if deadline is not None:
            deadline.check()
        with self._lock:
            if self.n_words > MAX_WORDS:
                self._nlp = _new_language()
            return [
                (start, end)
                for piece in pieces
                for start, end in self._trimmed_spans(text, piece)
                if start < end
            ]

    def _trimmed_spans(self, text: str, piece: Block) -> Iterator[Span]:
        return (trimmed(text, start, end) for start, end in self._spans(text, piece))

    def _spans(self, text: str, piece: Block) -> Iterator[Span]:
        source = text[piece.start : piece.end]
        if self._inner_end.search(source.rstrip()) is None:  # a heading, a cell: one sentence
            yield piece.start, piece.end
            return
        if _LONG_RUN.search(source):
            starts = [0, *(match.end() for match in _PLAIN_END.finditer(source))]
        else:
            starts = self._starts(_LONG_SPACE.sub(_lines, _LONE_SURROGATE.sub("\ufffd", source)))
        for start, end in zip(starts, [*starts[1:], len(source)], strict=True):
            yield piece.start + start, piece.start + end

    def _starts(self, source: str) -> list[int]:
        """Return the offsets at which sentences begin: the sentencizer's, corrected."""
        parts = self.parts_with_ends(source)
        begins = list(accumulate((end + 1 - start for start, end in parts), initial=0))
        doc = self._nlp.tokenizer(" ".join([source[start:end] for start, end in parts]))
        starts = [0]
        for first in self.first_tokens(doc):
            token = _before_opening(doc, first)
            part = bisect_right(begins, doc[token].idx) - 1
            start = parts[part][0] + doc[token].idx - begins[part]
            before = source[starts[-1] : start].strip()
            if before and not _ENUMERATOR.fullmatch(before) and not _goes_on(doc, token):
                starts.append(start)
        return starts

    def first_tokens(self, doc: Doc) -> Iterator[int]:
        """Yield the numbers of the tokens after a sentence end, as spaCy's Sentencizer finds them."""
        ended = False
        for i, word in enumerate(doc.to_array("ORTH").tolist()):
            if word in self._end_marks:
                ended = True
            elif ended and not self._is_punct(doc[i].text):
                ended = False
                yield i

    def parts_with_ends(self, source: str) -> list[Span]:
        """Return the stretches of `source` that hold sentence ends, each from plain word to plain word.

        The tokenizer does not see the rest, some three quarters of prose. Joined by spaces, the stretches
        keep their tokens: white space ends every token but spaCy's special cases, and none of those has
        two words of letters alone in a row.
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
    """Return spaCy's rules for English with no word but theirs, in 0.1 s."""
    from spacy.lang.en import English  # noqa: PLC0415 - see Segmenter

    nlp = English()
    nlp.vocab.lex_attr_getters = {}  # type: ignore[attr-defined]  # of 23 a word, none is read here
    nlp.tokenizer.max_cache_size = TOKENIZER_CACHE_ENTRIES  # type: ignore[union-attr]
    return nlp


def _chunks(text: str, blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Group the pieces of all blocks into lists of about CHUNK_CHARS characters."""
    chunk: list[Block] = []
    size = 0
    for piece in _pieces(text, blocks):
        chunk.append(piece)
        size += piece.end - piece.start
        if size >= CHUNK_CHARS:
            yield chunk
            chunk, size = [], 0
    yield chunk


def _pieces(text: str, blocks: Iterable[Block]) -> Iterator[Block]:
    """Cut blocks into pieces of at most MAX_SENTENCE_CHARS."""
    for block in blocks:
        start = block.start
        while block.end - start > MAX_SENTENCE_CHARS:
            end = _best_cut(text, start, start + MAX_SENTENCE_CHARS)
            yield Block(start, end)
            start = end
        yield Block(start, block.end)


def _best_cut(text: str, low: int, high: int) -> int:
    """Return the offset in (low, high] where a cut does the least harm."""
    safe = 0
    for match in _SAFE_END.finditer(text, low, high):
        safe = match.end()
    if safe:
        return safe
    middle = (low + high) // 2
    for mark in _SECOND_BEST_ENDS:
        at = text.rfind(mark, middle, high)
        if at >= 0:
            return at + len(mark)
    return high


def _lines(space: re.Match[str]) -> str:
    return "\n" * len(space.group())


def _before_opening(doc: Doc, start: int) -> int:
    """Move a start before its opening bracket or quote, which the sentencizer leaves behind."""
    while start > 1 and doc[start - 1].text in _OPENING and doc[start - 2].whitespace_:
        start -= 1
    return start


def _goes_on(doc: Doc, start: int) -> bool:
    """Say whether the sentence before token `start` goes on there: "No. 5", "etc. and"."""
    if doc[start - 1].text != "." or start < 2:
        return False
    last, following = doc[start - 2].text.lower(), doc[start].text
    return (
        last in _NEVER_LAST
        or (last in _BEFORE_NUMBER and following.lstrip("([")[:1].isdigit())
        or (last in _BEFORE_NUMBER and following in {"(", "["})
        or (last in _BEFORE_LOWER_CASE and following[:1].islower())
    )
