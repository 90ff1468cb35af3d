"""A span: half-open character offsets into a text. Imports nothing, since the sandbox imports it."""

from __future__ import annotations

Span = tuple[int, int]
"""Start and end of a stretch of text: `text[start:end]`."""


def trimmed(text: str, start: int, end: int) -> Span:
    """Return the span without white space at its ends; it is empty if `text[start:end]` is blank."""
    source = text[start:end]
    start += len(source) - len(source.lstrip())
    return start, start + len(source.strip())
