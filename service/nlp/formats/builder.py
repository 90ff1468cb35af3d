"""Collects the text of a document block by block. Imports errors only, so that the child starts fast."""

from __future__ import annotations

import re
from collections.abc import Callable

from service.errors import TooLarge

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """Replace NUL and lone surrogates one for one by U+FFFD: offsets hold, any database takes it."""
    return _UNSTORABLE.sub("\ufffd", text)


def check_chars(n_chars: int, max_chars: int) -> None:
    """Raise TooLarge when a text of `n_chars` is over the limit."""
    if n_chars > max_chars:
        raise TooLarge(
            f"The text is longer than {max_chars:,} characters. Send it in parts, or ask the "
            "operator to raise MAX_TEXT_CHARS."
        )


class TextBuilder:
    """Text in the making: `spans` are half-open offsets of blocks, `page_starts` of pages."""

    def __init__(self, max_chars: int) -> None:
        self.spans: list[tuple[int, int]] = []
        self.page_starts: list[int] = []
        self.pages_without_text: list[int] = []
        self._max_chars = max_chars
        self._parts: list[str] = []
        self._length = 0

    def add(self, text: str, *, skip: int = 0, separator: str = "\n") -> None:
        """Add one block and the separator after it; the block begins `skip` characters in."""
        self.raw(text, [(skip, len(text))], separator=separator)

    def raw(self, text: str, spans: list[tuple[int, int]], *, separator: str = "\n") -> None:
        """Add text that holds the blocks `spans`, offsets within `text`."""
        start = self._length
        self._append(storable(text), separator)
        self.spans += [(start + a, start + b) for a, b in spans]

    def extend_last(self, text: str, *, mark: Callable[[], None], glue: str) -> None:
        """Continue the last block: its separator becomes `glue`; `mark` is called where `text` begins."""
        self._length -= len(self._parts[-1])
        self._parts[-1] = self._parts[-1][:-1] + glue
        self._length += len(self._parts[-1])
        mark()
        self._append(storable(text), "\n")
        self.spans[-1] = (self.spans[-1][0], self._length - 1)

    def drop_last_character(self) -> None:
        """Remove the last character of the last block (a hyphen at the end of a page)."""
        self._parts[-1] = self._parts[-1][:-2] + self._parts[-1][-1]
        self._length -= 1
        self.spans[-1] = (self.spans[-1][0], self.spans[-1][1] - 1)

    def begin_page(self) -> None:
        """Note that the next character is the first of a page."""
        self.page_starts.append(self._length)

    def _append(self, text: str, separator: str) -> None:
        check_chars(self._length + len(text), self._max_chars)
        self._parts.append(text + separator)
        self._length += len(text) + len(separator)

    def text(self) -> str:
        """Return all text so far."""
        return "".join(self._parts)

    def as_json(self) -> dict[str, object]:
        """Return the document as JSON values; spans flat, in pairs."""
        return {
            "text": self.text(),
            "spans": [offset for span in self.spans for offset in span],
            "page_starts": self.page_starts or None,
            "pages_without_text": self.pages_without_text,
        }
