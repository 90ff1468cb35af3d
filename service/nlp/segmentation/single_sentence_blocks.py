"""Finds the blocks that are exactly one sentence (cells, headings), for a whole text at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from service.nlp.arrays import Bools, Offsets, Rows

_BEYOND = 0x10000  # stands for every character above U+FFFF
_MARK, _SPACE = 1, 2
_WINDOW_CHARS = 250_000  # characters per step, 10 bytes of memory each


class SingleSentenceBlocks:
    """Separates blocks of one sentence from blocks that may have more."""

    def __init__(self, marks: Iterable[str], *, max_chars: int) -> None:
        """`marks` and all characters above U+FFFF may end a sentence; `max_chars` is its greatest length."""
        self._max_chars = max_chars
        self._class_of = np.zeros(_BEYOND + 1, np.uint8)
        self._class_of[[ord(c) for c in map(chr, range(_BEYOND)) if c.isspace()]] = _SPACE
        self._class_of[[min(ord(mark), _BEYOND) for mark in marks] + [_BEYOND]] = _MARK

    def among(self, text: str, spans: Offsets) -> Bools:
        """Return bool (n_blocks,): which of `spans`, ascending int64 (n_blocks, 2), are one sentence each.

        Such a block is trimmed, and has no mark before its last character.
        """
        lengths = spans[:, 1] - spans[:, 0]
        is_whole = (lengths > 0) & (lengths <= self._max_chars)
        for rows in _windows(spans, np.flatnonzero(is_whole)):
            is_whole[rows] = self._in_window(text, spans[rows])
        return is_whole

    def _in_window(self, text: str, spans: Offsets) -> Bools:
        begin = spans[0, 0]
        window = text[begin : spans[-1, 1]].encode("utf-32-le", "surrogatepass")
        classes = self._class_of[np.minimum(np.frombuffer(window, "<u4"), _BEYOND)]
        marks_before = np.cumsum(
            classes == _MARK, dtype=np.int32
        )  # up to and including each character
        first, last = spans[:, 0] - begin, spans[:, 1] - begin - 1
        inner = marks_before[last] - marks_before[first]
        inner += (classes[first] == _MARK).astype(np.int32) - (classes[last] == _MARK)
        is_trimmed = (classes[first] != _SPACE) & (classes[last] != _SPACE)
        found: Bools = (inner == 0) & is_trimmed
        return found


def _windows(spans: Offsets, rows: Rows) -> Iterator[Rows]:
    """Yield `rows` in groups whose spans begin within _WINDOW_CHARS of each other."""
    starts = spans[rows, 0]
    begin = 0
    while begin < len(rows):
        end = int(np.searchsorted(starts, starts[begin] + _WINDOW_CHARS, side="right"))
        yield rows[begin:end]
        begin = end
