"""Collects the text of a document block by block. Imports only errors, so that the sandbox starts fast."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable

from service.errors import TooLarge

MAX_BLOCKS = 1_000_000
"""Most blocks in a document. Each takes 40 bytes in the service and a few microseconds to read."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """Replace each NUL and lone surrogate by U+FFFD: offsets stay valid, and every database accepts it."""
    return _UNSTORABLE.sub("\ufffd", text)


def check_chars(n_chars: int, max_chars: int) -> None:
    """Raise TooLarge if a text of `n_chars` characters exceeds the limit."""
    if n_chars > max_chars:
        raise TooLarge(
            f"The text is longer than {max_chars:,} characters. Send it in parts, or ask the "
            "operator to raise MAX_TEXT_CHARS."
        )


class TextBuilder:
    """A document's text under construction. `offsets` holds the start and end of each block, in turn."""

    def __init__(self, max_chars: int) -> None:
        self.offsets = array("q")
        self.page_starts: list[int] = []
        self.pages_without_text: list[int] = []
        self._max_chars = max_chars
        self._parts: list[str] = []
        self._length = 0

    def check_room(self, n_chars: int) -> None:
        """Raise TooLarge if `n_chars` more characters exceed the limit."""
        check_chars(self._length + n_chars, self._max_chars)

    def add(self, text: str, *, skip: int = 0, separator: str = "\n") -> None:
        """Add text and a separator; the text from `skip` on is one block."""
        self.add_blocks(text, [(skip, len(text))], separator=separator)

    def add_blocks(
        self, text: str, spans: Iterable[tuple[int, int]], *, separator: str = "\n"
    ) -> None:
        """Add text with the blocks at `spans`, which are offsets into `text`, and a separator.

        Raises:
            TooLarge: the text exceeds its limit, or there are more than MAX_BLOCKS blocks.
        """
        start = self._length
        self._append(storable(text), separator)
        for a, b in spans:
            self.offsets.append(start + a)
            self.offsets.append(start + b)
        if len(self.offsets) > 2 * MAX_BLOCKS:
            raise TooLarge(
                f"The document has more than {MAX_BLOCKS:,} paragraphs and table cells, the limit. "
                "Send it in parts."
            )

    def extend_last(self, text: str, *, mark: Callable[[], None], glue: str) -> None:
        """Continue the last block; `glue` replaces its separator. Calls `mark` where `text` begins."""
        self._length -= len(self._parts[-1])
        self._parts[-1] = self._parts[-1][:-1] + glue
        self._length += len(self._parts[-1])
        mark()
        self._append(storable(text), "\n")
        self.offsets[-1] = self._length - 1

    def drop_last_character(self) -> None:
        """Remove the last character of the last block, such as a hyphen at the end of a page."""
        self._parts[-1] = self._parts[-1][:-2] + self._parts[-1][-1]
        self._length -= 1
        self.offsets[-1] -= 1

    def begin_page(self) -> None:
        """Record that a page begins with the next character."""
        self.page_starts.append(self._length)

    def _append(self, text: str, separator: str) -> None:
        self.check_room(len(text))
        self._parts.append(text + separator)
        self._length += len(text) + len(separator)

    def text(self) -> str:
        """Return all text added so far."""
        return "".join(self._parts)
