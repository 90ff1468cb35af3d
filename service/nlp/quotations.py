"""Finds quotations in a text, whatever their white space. Knows no sentences and no documents."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator

from service.nlp.span import Span

_WIDE_SPACE = re.compile(r"\s{2,}")
_OTHER_THAN_ONE_SPACE = re.compile(r"\s{2,}|[^\S ]")


class QuotableText:
    """A text in which quotations are found in linear time.

    Their words may stand on other lines or have other white space between them than in the text. A regular
    expression of the words would take the product of both lengths, without releasing the GIL.
    """

    def __init__(self, text: str) -> None:
        self._collapsed = _OTHER_THAN_ONE_SPACE.sub(" ", text)
        # Where wide space was in the collapsed text, and how many characters were removed up to there.
        self._spaces, self._removed = array("q"), array("q")
        removed = 0
        for space in _WIDE_SPACE.finditer(text):
            self._spaces.append(space.start() - removed)
            removed += space.end() - space.start() - 1
            self._removed.append(removed)

    def spans(self, quotation: str) -> Iterator[Span]:
        """Yield the places of a quotation without white space at its ends, in order; they do not overlap.

        A quotation without words has none.
        """
        words = " ".join(quotation.split())
        at = self._collapsed.find(words) if words else -1
        while at >= 0:
            end = at + len(words)
            yield self._offset(at), self._offset(end - 1) + 1
            at = self._collapsed.find(words, end)

    def _offset(self, collapsed: int) -> int:
        """Return the offset in the text of a character of the collapsed text that is no white space."""
        n_before = bisect_left(self._spaces, collapsed)
        return collapsed + (self._removed[n_before - 1] if n_before else 0)
