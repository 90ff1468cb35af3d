"""An HTML tokenizer after WHATWG's, in time linear in the page. Imports nothing of ours.

Python's html.parser takes quadratic time: 8 s for 100 kB of unclosed comments. Its releases also differ in
how they treat the rest of such a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

_TAG_NAME = re.compile(r"[a-zA-Z][^\t\n\r\f />\x00]*+")
_END_TAG = re.compile(r"</\s*+([a-zA-Z][^\t\n\r\f />\x00]*+)")
# All quantifiers are possessive. An unclosed quote becomes part of a name, as `?+` does not backtrack.
_ATTRIBUTE = re.compile(
    r"""[\s/]*+([^\s/>][^\s/>=]*+)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|((?!["'])[^\s>]*+)))?+"""
)
_TAG_END = re.compile(r"[\s/]*+>")
_COMMENT_END = re.compile(r"--!?>")
_CDATA = "<![CDATA["
_RAW_END = {name: re.compile(rf"</(?={name}[\s/>])", re.IGNORECASE) for name in ("script", "style")}


@dataclass(frozen=True, slots=True)
class Text:
    """Text between tags, with character references replaced."""

    value: str


@dataclass(frozen=True, slots=True)
class StartTag:
    """A start tag; names are lower-case, attribute values unescaped."""

    name: str
    attributes: dict[str, str]
    is_self_closing: bool


@dataclass(frozen=True, slots=True)
class EndTag:
    """An end tag; its name is lower-case."""

    name: str


Token = Text | StartTag | EndTag


def tokens(page: str) -> Iterator[Token]:
    """Yield the tokens of `page`, except comments, declarations, and the content of scripts and styles.

    The rest of the page after an unclosed comment or tag, which a browser hides, is text.
    """
    return _Tokenizer(page).tokens()


class _Tokenizer:
    def __init__(self, page: str) -> None:
        self._page = page
        self._last_end = page.rfind(">")  # markup after it is not closed
        self._has_comment_end = self._has_cdata_end = True

    def tokens(self) -> Iterator[Token]:
        page, begin, at = self._page, 0, self._page.find("<")
        while 0 <= at < self._last_end:
            end, token = self._markup(at)
            if end > at:
                if begin < at:
                    yield Text(unescape(page[begin:at]))
                if token is not None:
                    yield token
                begin = end
            at = page.find("<", max(end, at + 1))
        if begin < len(page):
            yield Text(unescape(page[begin:]))

    def _markup(self, at: int) -> tuple[int, Token | None]:
        """Return the end of the markup at `at`, and its token; the end is `at` if there is only text."""
        page = self._page
        if name := _TAG_NAME.match(page, at + 1):
            return self._start_tag(at, name)
        if page[at + 1] not in "/!?":
            return at, None
        if page.startswith("<!--", at):
            return self._comment_end(at), None
        if page.startswith(_CDATA, at):
            return self._cdata(at)
        name = _END_TAG.match(page, at)
        return page.index(">", at) + 1, EndTag(name[1].lower()) if name else None

    def _comment_end(self, at: int) -> int:
        if self._page.startswith((">", "->"), at + 4):
            return self._page.index(">", at) + 1
        match = _COMMENT_END.search(self._page, at + 4) if self._has_comment_end else None
        self._has_comment_end = match is not None
        return match.end() if match else at

    def _cdata(self, at: int) -> tuple[int, Token | None]:
        """Return the end of a CDATA section, and its text, which XHTML shows."""
        begin = at + len(_CDATA)
        end = self._page.find("]]>", begin) if self._has_cdata_end else -1
        self._has_cdata_end = end >= 0
        return (end + 3, Text(self._page[begin:end])) if end >= 0 else (at, None)

    def _start_tag(self, at: int, name: re.Match[str]) -> tuple[int, Token | None]:
        page, end = self._page, name.end()
        attributes: dict[str, str] = {}
        while (tag_end := _TAG_END.match(page, end)) is None:
            attribute = _ATTRIBUTE.match(page, end)
            if attribute is None:  # the end of the page
                self._last_end = at
                return at, None
            value = attribute[2] or attribute[3] or attribute[4] or ""
            attributes[attribute[1].lower()] = unescape(value)
            end = attribute.end()
        tag = StartTag(name[0].lower(), attributes, page[end : tag_end.end()].endswith("/>"))
        return self._after_content(tag, tag_end.end()), tag

    def _after_content(self, tag: StartTag, end: int) -> int:
        """Return the offset after the content of a script or style; for any other tag, `end`."""
        if tag.is_self_closing or tag.name not in _RAW_END:
            return end
        raw_end = _RAW_END[tag.name].search(self._page, end)
        return raw_end.start() if raw_end else len(self._page)
