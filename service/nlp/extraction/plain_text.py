"""Reads plain text, Markdown and CSV. The service reads short files in its own process."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from contextlib import suppress

from service.errors import UnreadableDocument
from service.nlp.extraction.paragraphs import find_blocks, find_markdown_blocks
from service.nlp.extraction.tables import Table
from service.nlp.extraction.text_builder import TextBuilder

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, which begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
# Python also has codecs that no text file uses, and punycode takes quadratic time, a minute for a megabyte.
_TEXT_CODECS = re.compile(
    r"utf-8|ascii|iso8859-\d+|cp(125\d|437|85\d|866|874|932|949|950)|koi8-[rut]|mac-\w+|tis-620"
    r"|shift_jis\w*|euc_(jp|kr)|gb2312|gbk|gb18030|big5(hkscs)?|iso2022_(jp|kr)"
)
_BYTEWISE = {"ascii", "iso8859-1", "cp1252"}
"""Programs declare these without a look at the text: it is UTF-8 if that is valid, else windows-1252."""
_ONE_BYTE = re.compile(r"iso8859-(?!11)\d+|cp125\d|koi8-[rut]")
"""Charsets whose text is almost never valid UTF-8, unlike short Thai text."""
_STRAY = re.compile("(?s)(?!.*[\u0370-\u07ff]{2}).*[A-Za-z][\u0370-\u07ff]")
"""A foreign letter in a Latin word, and no foreign word: so reads Polish "SPÓŁKA" in ISO 8859-2 as UTF-8."""
_NOT_TEXT = (
    "The file is named as text but holds other data. "
    "Save it as UTF-8 text, or give it the extension of its real format."
)
_SAMPLE_CHARS = 65_536


def decode(data: bytes, *, charset: str | None = None) -> str:
    """Decode by byte order mark, else by the declared charset, else as UTF-8, else as windows-1252.

    UTF-8 takes precedence over declared charsets that the bytes contradict: UTF-16 without NUL, and charsets
    of one byte a letter where the bytes are valid UTF-8. The five bytes that windows-1252 does not define
    become U+FFFD.

    Raises:
        UnreadableDocument: the bytes are not text: they contain NUL, or contradict their byte order mark.
    """
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), None)
    try:
        if encoding:
            return data.decode(encoding)
        if b"\0" in data:
            if not is_wide(charset):
                raise UnreadableDocument(_NOT_TEXT)
            return data.decode(_codec(charset))
    except UnicodeError as error:
        raise UnreadableDocument(_NOT_TEXT) from error
    declared = _codec(charset)
    is_utf8_first = is_wide(charset) or _is_misdeclared(data, declared)
    for name in ("utf-8", declared) if is_utf8_first else (declared, "utf-8"):
        with suppress(UnicodeError):
            return data.decode(name)
    return data.decode("cp1252", errors="replace")


def _is_misdeclared(data: bytes, declared: str) -> bool:
    """Return whether data with a declared charset of one byte a letter is UTF-8 instead."""
    try:
        return bool(_ONE_BYTE.fullmatch(declared)) and not _STRAY.match(data.decode())
    except UnicodeError:
        return False


def is_wide(charset: str | None) -> bool:
    """Return whether a declared charset has several bytes for each ASCII character."""
    return _codec(charset) in _WIDE


def _codec(charset: str | None) -> str:
    """Return Python's name of a declared charset; UTF-8 if it is unknown or no text charset."""
    try:
        name = codecs.lookup(charset or "utf-8").name
    except (LookupError, ValueError):  # ValueError: the name holds NUL
        return "utf-8"
    if name in _BYTEWISE:
        return "utf-8"
    return name if name in _WIDE or _TEXT_CODECS.fullmatch(name) else "utf-8"


def read_text(data: bytes, builder: TextBuilder, *, charset: str | None = None) -> None:
    """Add a text file verbatim."""
    add_verbatim(decode(data, charset=charset), builder)


def read_markdown(data: bytes, builder: TextBuilder, *, charset: str | None = None) -> None:
    """Add a Markdown file verbatim."""
    text = decode(data, charset=charset)
    builder.check_room(len(text))  # before the slower search for blocks
    builder.add_blocks(text, find_markdown_blocks(text), separator="")


def read_utf8(data: bytes, builder: TextBuilder) -> None:
    """Add the text of a form or JSON field verbatim; `data` may contain lone surrogates."""
    add_verbatim(data.decode("utf-8", "surrogatepass"), builder)


def add_verbatim(text: str, builder: TextBuilder) -> None:
    """Add a text unchanged, with its paragraphs as blocks."""
    builder.check_room(len(text))  # before the slower search for blocks
    builder.add_blocks(text, find_blocks(text), separator="")


def read_csv(data: bytes, builder: TextBuilder, *, charset: str | None = None) -> None:
    """Add a table: cells joined by tabs, rows by newlines; see Table for blocks and headings.

    Raises:
        UnreadableDocument: a cell is longer than 131,072 characters, for example after a missing quote.
    """
    text = decode(data, charset=charset)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    table = Table(builder)
    try:
        for row in rows:
            if row:
                table.add(row)
    except csv.Error as error:
        raise UnreadableDocument(
            f"The CSV file cannot be read at line {rows.line_num}: {error}. Is a quote missing?"
        ) from error


def _delimiter(text: str) -> str:
    """Return the delimiter that splits most sample rows into the same number of cells, at least two."""
    sample = text[:_SAMPLE_CHARS].splitlines()[:50]

    def agreement(delimiter: str) -> int:
        try:
            widths = Counter(len(row) for row in csv.reader(sample, delimiter=delimiter) if row)
        except csv.Error:
            return 0
        return max((n for width, n in widths.items() if width > 1), default=0)

    return max(",;\t|", key=agreement)  # the comma wins a tie
