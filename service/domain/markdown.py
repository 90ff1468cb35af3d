"""Parses the Markdown of lessons, and returns its text without markup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token


@cache
def parser() -> MarkdownIt:
    """Return the parser of all lessons."""
    # The preset does not let HTML through; the one that is the default would.
    return MarkdownIt("js-default", {"html": False})


def plain_blocks(source: str) -> list[str]:
    """Return the text of each heading, paragraph, item, cell and block of code with text, in one line each.

    Links and images leave their text, and no address.
    """
    blocks = (" ".join(_text(token).split()) for token in parser().parse(source))
    return [block for block in blocks if block]


def _text(token: Token) -> str:
    if token.type == "inline":
        return "".join(_parts(token.children or ()))
    return token.content if token.type in {"fence", "code_block"} else ""


def _parts(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in {"softbreak", "hardbreak"}:
            yield " "
        elif token.type == "image":
            yield from _parts(token.children or ())
        elif token.type in {"text", "code_inline"}:
            yield token.content
