"""Splits long blocks into pieces of at most MAX_SENTENCE_CHARS, and groups pieces into chunks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from service.nlp.document import Block

MAX_SENTENCE_CHARS = 1_500
CHUNK_CHARS = 20_000
"""Text that is segmented in one turn, in 5 to 10 ms, so that a note never waits for a book."""

# A sentence end that is hardly ever an abbreviation, such as "Dr." or "No.".
_SAFE_END = re.compile(
    r"[a-z]{4}[.!?][\"')\]\u2019\u201d]{0,2}\s+(?=[\"'(\[\u2018\u201c]{0,2}[A-Z])|[\u3002\uff01\uff1f]"
)
_SECOND_BEST_ENDS = (". ", "! ", "? ", "\n", "; ", ", ", " ", "\t", "\u00a0", ";", ",", "\u3001")


def chunks(text: str, blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Yield the pieces of all blocks in lists of about CHUNK_CHARS characters."""
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
    """Yield each block, in pieces if it is longer than MAX_SENTENCE_CHARS."""
    for block in blocks:
        start = block.start
        while block.end - start > MAX_SENTENCE_CHARS:
            end = _best_cut(text, start, start + MAX_SENTENCE_CHARS)
            yield Block(start, end)
            start = end
        yield Block(start, block.end)


def _best_cut(text: str, low: int, high: int) -> int:
    """Return the offset in (low, high] where a cut is least likely to split a sentence."""
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
