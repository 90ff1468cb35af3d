"""Reads HTML token by token. No tree is built, so deep nesting costs nothing.

Read: all text, including the title and <noscript>, and attributes that browsers show.
Not read: comments, scripts, styles, templates, <meta> content, and pages in attributes (srcdoc).
"""

from __future__ import annotations

import re
from collections import Counter

from service.errors import UnreadableDocument
from service.nlp.extraction.html_tokens import EndTag, StartTag, Text, tokens
from service.nlp.extraction.paragraphs import find_blocks
from service.nlp.extraction.plain_text import decode, is_wide
from service.nlp.extraction.text_builder import TextBuilder

# fmt: off
_INLINE = frozenset((
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn",
    "em", "font", "i", "img", "ins", "kbd", "label", "mark", "nobr", "q", "rp", "rt", "ruby",
    "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tspan", "tt", "u",
    "var", "wbr",
))
# fmt: on
_DROPPED = frozenset(("script", "style", "template"))
_SHOWN_ATTRIBUTES = frozenset(("alt", "aria-label", "label", "placeholder", "title"))
_SHOWN_INPUT_TYPES = frozenset(
    ("", "button", "email", "reset", "search", "submit", "tel", "text", "url")
)
_META_CHARSET = re.compile(
    rb"<meta[^>]{0,500}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE
)
_SPACES = re.compile(r"[ \t\r\n\f]+")
_META_BYTES = 4096  # browsers search the first 1,024 bytes; this leaves room for a long head


def read_html(data: bytes, builder: TextBuilder, *, charset: str | None = None) -> None:
    """Add a page: block elements, cells and list items become blocks, <br> a newline within its block.

    Attributes that people see (alt, title, placeholder, the value of a field) become blocks after the block
    that contains their element.

    Raises:
        UnreadableDocument: an element with hidden content is not closed, so the rest of the page is unknown.
    """
    reader = _Reader(builder)
    reader.read(decode(data, charset=charset or _meta_charset(data)))
    reader.finish()


def _meta_charset(data: bytes) -> str | None:
    """Return the charset that a page declares; its <meta> could not be found if it were UTF-16 or UTF-32."""
    meta = _META_CHARSET.search(data[:_META_BYTES])
    declared = meta.group(1).decode("ascii") if meta else None
    return None if is_wide(declared) else declared


class _Reader:
    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._parts: list[str] = []
        self._asides: list[str] = []
        self._dropped: list[str] = []
        self._n_dropped: Counter[str] = Counter()  # by tag name
        self._pre = 0

    def read(self, page: str) -> None:
        for token in tokens(page):
            match token:
                case Text(value):
                    if not self._dropped:
                        self._parts.append(value.replace("\v", " "))
                case StartTag(name, attributes, is_self_closing):
                    if not (is_self_closing and name in _DROPPED):
                        self._start(name, attributes)
                case EndTag(name):
                    self._end(name)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in _DROPPED:
            self._dropped.append(tag)
            self._n_dropped[tag] += 1
        elif tag == "br":
            self._parts.append("\v")  # read() removes any other \v from the text
        elif tag not in _INLINE:
            self._flush()
        if not self._dropped:
            self._asides += _shown(tag, attributes)
        self._pre += tag == "pre"

    def _end(self, tag: str) -> None:
        if tag in _DROPPED:
            while self._n_dropped[tag]:
                closed = self._dropped.pop()
                self._n_dropped[closed] -= 1
                if closed == tag:
                    break
        elif tag not in _INLINE:
            self._flush()
        if tag == "pre":
            self._pre = max(0, self._pre - 1)

    def finish(self) -> None:
        if self._dropped:
            raise UnreadableDocument(
                f"The page is damaged: its <{self._dropped[0]}> never ends. Save it again from a browser."
            )
        self._flush()

    def _flush(self) -> None:
        text, asides = "".join(self._parts), self._asides
        self._parts, self._asides = [], []
        if self._pre:
            text = text.replace("\v", "\n").strip("\n")
            if text.strip():
                self._builder.add_blocks(text, find_blocks(text))
        else:
            self._add(text)
        for aside in asides:
            self._add(aside)

    def _add(self, text: str) -> None:
        lines = (_SPACES.sub(" ", line).strip(" ") for line in text.split("\v"))
        if block := "\n".join(lines).strip():
            self._builder.add(block)


def _shown(tag: str, attrs: dict[str, str]) -> list[str]:
    """Return the attributes that a browser shows: no password, no hidden or encoded value."""
    texts = [value for name, value in attrs.items() if name in _SHOWN_ATTRIBUTES]
    if tag == "input" and attrs.get("type", "").strip().lower() in _SHOWN_INPUT_TYPES:
        texts.append(attrs.get("value", ""))
    return texts
