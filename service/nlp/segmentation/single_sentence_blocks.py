"""Finds the blocks that are exactly one sentence (cells, headings), for a whole text at once with numpy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from service.nlp.arrays import Bools, Offsets, Rows

_ASTRAL = 0x10000  # class of every character above U+FFFF
_END_MARK, _SPACE = 1, 2
_WINDOW_CHARS = 250_000  # processed at once, at 10 bytes of memory each


class SingleSentenceBlocks:
    """Distinguishes blocks of one sentence from blocks that may have more."""

    def __init__(self, marks: Iterable[str], *, max_chars: int) -> None:
        """`marks` and all characters above U+FFFF may end a sentence, which has at most `max_chars`."""
        self._max_chars = max_chars
        self._class_by_code = np.zeros(_ASTRAL + 1, np.uint8)
        self._class_by_code[[ord(c) for c in map(chr, range(_ASTRAL)) if c.isspace()]] = _SPACE
        self._class_by_code[[min(ord(mark), _ASTRAL) for mark in marks] + [_ASTRAL]] = _END_MARK

    def find(self, text: str, spans: Offsets) -> Bools:
        """Return bool (n_blocks,): which of `spans`, ascending int64 (n_blocks, 2), are one sentence each.

        Such a block is trimmed and has no end mark before its last character.
        """
        lengths = spans[:, 1] - spans[:, 0]
        is_single = (lengths > 0) & (lengths <= self._max_chars)
        for rows in _windows(spans, np.flatnonzero(is_single)):
            is_single[rows] = self._find_in_window(text, spans[rows])
        return is_single

    def _find_in_window(self, text: str, spans: Offsets) -> Bools:
        begin = spans[0, 0]
        window = text[begin : spans[-1, 1]].encode("utf-32-le", "surrogatepass")
        classes = self._class_by_code[np.minimum(np.frombuffer(window, "<u4"), _ASTRAL)]
        n_marks = np.cumsum(classes == _END_MARK, dtype=np.int32)  # up to and with each character
        first, last = spans[:, 0] - begin, spans[:, 1] - begin - 1
        inner = n_marks[last] - n_marks[first]
        inner += (classes[first] == _END_MARK).astype(np.int32) - (classes[last] == _END_MARK)
        is_trimmed = (classes[first] != _SPACE) & (classes[last] != _SPACE)
        is_single: Bools = (inner == 0) & is_trimmed
        return is_single


def _windows(spans: Offsets, rows: Rows) -> Iterator[Rows]:
    """Split `rows` into groups whose spans begin within _WINDOW_CHARS of each other."""
    starts = spans[rows, 0]
    begin = 0
    while begin < len(rows):
        end = int(np.searchsorted(starts, starts[begin] + _WINDOW_CHARS, side="right"))
        yield rows[begin:end]
        begin = end
