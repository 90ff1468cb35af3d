"""Bytes and a media type in, blocks of text with pages out.

PDF, Word and HTML are parsed in a child process under limits (formats/child.py); text, Markdown and
CSV are only decoded, in this process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from email.message import Message
from itertools import pairwise
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

from service.errors import Overloaded, TooLarge, UnreadableDocument, UnsupportedMediaType
from service.nlp.analyzer import Block, Deadline, ExtractedText
from service.nlp.formats.builder import TextBuilder, check_chars, storable
from service.nlp.formats.lines import blocks_of
from service.nlp.formats.plain import read_csv, read_text
from service.nlp.formats.process import answer_of
from service.nlp.processors import cpu_quota

READ_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "txt": ("text/plain",),
        "md": ("text/markdown", "text/x-markdown"),
        "csv": ("text/csv", "application/csv"),
        "html": ("text/html", "application/xhtml+xml"),
        "pdf": ("application/pdf", "application/x-pdf"),
        "docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document",),
    }
)
"""File extension -> media types: every format that is read, the first media type the registered one."""

_OTHER_EXTENSIONS = {"text": "txt", "markdown": "md", "htm": "html", "xhtml": "html"}
_GENERIC = {
    "",
    "application/octet-stream",
    "binary/octet-stream",
    "application/x-www-form-urlencoded",
}
_IN_PROCESS: Mapping[str, Callable[..., None]] = {
    "txt": read_text,
    "md": read_text,
    "csv": read_csv,
}
_PDF, _ZIP, _OLE = b"%PDF-", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PDF_HEAD_BYTES = 1024  # readers accept the mark anywhere in the first 1,024 bytes
_ANSWER_BYTES_PER_CHAR = 24  # six for an escaped character, up to eighteen for its block's offsets
_ANSWER_BYTES = 1_048_576
_MOST_SLOTS = 8  # children at once: each may take EXTRACT_MEMORY_BYTES


def extract_text(text: str, *, max_chars: int) -> ExtractedText:
    """Return `text` verbatim (NUL and lone surrogates as U+FFFD) with its paragraphs as blocks.

    Raises:
        TooLarge: more than `max_chars` characters.
    """
    check_chars(len(text), max_chars)
    kept = storable(text)
    return ExtractedText(kept, tuple(Block(a, b) for a, b in blocks_of(kept)))


class Extractor:
    """Reads files under limits; one instance serves all threads, `slots` children at a time."""

    def __init__(
        self,
        *,
        max_file_bytes: int,
        max_text_chars: int,
        max_pages: int,
        timeout_s: int,
        memory_bytes: int,
        slots: int | None = None,
    ) -> None:
        self._max_file_bytes = max_file_bytes
        self._max_text_chars = max_text_chars
        self._max_pages = max_pages
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._slots = threading.BoundedSemaphore(slots or min(cpu_quota(), _MOST_SLOTS))

    def extract(
        self,
        data: bytes,
        *,
        filename: str | None,
        media_type: str | None,
        deadline: Deadline | None = None,
    ) -> ExtractedText:
        """Return the text of a file, whole, with its blocks and, for PDF, its pages.

        The format comes from the extension, else from the media type, else from the bytes. Reading ends
        by `deadline`, which is the whole scan's, or within the extractor's own limit.

        Raises:
            UnsupportedMediaType: a format that is not read; the message names those that are.
            UnreadableDocument: empty, damaged, encrypted, images only, or not what it is named.
            TooLarge: over a limit, which the message names.
            Overloaded: too many files are being read already.
            AnalyzerTimeout: `deadline` passed.
        """
        if len(data) > self._max_file_bytes:
            raise TooLarge(
                f"The file has {len(data):,} bytes; {self._max_file_bytes:,} are read. Send it in parts, "
                "or ask the operator to raise MAX_FILE_BYTES."
            )
        kind, charset = _format_of(data, filename, media_type)
        if not data:
            raise UnreadableDocument("The file is empty.")
        _check_bytes(kind, data)
        extracted = self._read(kind, charset, data, deadline)
        if not extracted.blocks:
            raise UnreadableDocument("The file is empty: it holds no words.")
        return extracted

    def _read(
        self, kind: str, charset: str | None, data: bytes, deadline: Deadline | None
    ) -> ExtractedText:
        if kind in _IN_PROCESS:
            builder = TextBuilder(self._max_text_chars)
            _IN_PROCESS[kind](data, builder, charset=charset)
            return _extracted(builder.as_json(), self._max_text_chars)
        order = {
            "format": kind,
            "charset": charset,
            "max_chars": self._max_text_chars,
            "max_pages": self._max_pages,
            "memory_bytes": self._memory_bytes,
            "cpu_s": self._timeout_s,
        }
        try:
            return _extracted(self._in_child(data, order, deadline), self._max_text_chars)
        except (Overloaded, TooLarge):
            if deadline is not None:
                deadline.check()  # the scan's limit ended it, not the extractor's own
            raise

    def _in_child(
        self, data: bytes, order: dict[str, Any], deadline: Deadline | None
    ) -> dict[str, Any]:
        """Wait for a slot, at most half of the time, and read in a child within what is left."""
        began = time.monotonic()
        left_s = deadline.remaining_s() if deadline else self._timeout_s
        time_s = min(self._timeout_s, left_s)
        if not self._slots.acquire(timeout=time_s / 2):
            raise Overloaded("Too many files are being read. Try again in some seconds.")
        try:
            return answer_of(
                data,
                order,
                timeout_s=time_s - (time.monotonic() - began),
                max_answer_bytes=_ANSWER_BYTES + _ANSWER_BYTES_PER_CHAR * self._max_text_chars,
            )
        finally:
            self._slots.release()


def _format_of(data: bytes, filename: str | None, media_type: str | None) -> tuple[str, str | None]:
    """Return a key of READ_TYPES and the declared charset."""
    declared, charset = _declared(media_type)
    extension = PurePath((filename or "").replace("\\", "/")).suffix.lower().lstrip(".")
    kind = _OTHER_EXTENSIONS.get(extension, extension)
    if kind in READ_TYPES:
        return kind, charset
    for known, media_types in READ_TYPES.items():
        if declared in media_types:
            return known, charset
    if extension == "" and declared in _GENERIC:
        return _sniffed(data), charset
    raise _unsupported()


def _declared(media_type: str | None) -> tuple[str, str | None]:
    if not media_type or "\n" in media_type or "\r" in media_type:
        return "", None
    message = Message()
    message["Content-Type"] = media_type
    return media_type.partition(";")[0].strip().lower(), message.get_content_charset()


def _sniffed(data: bytes) -> str:
    if data.startswith(_PDF):
        return "pdf"
    if data.startswith(_ZIP):
        return "docx"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _unsupported() from error
    return "txt"


def _unsupported() -> UnsupportedMediaType:
    known = ", ".join(f".{extension}" for extension in READ_TYPES)
    return UnsupportedMediaType(f"Documents of this type are not read. These are: {known}.")


def _check_bytes(kind: str, data: bytes) -> None:
    """Raise UnreadableDocument when the bytes are not what the name says."""
    if kind == "docx":
        _check_docx(data)
    elif kind == "pdf" and _PDF not in data[:_PDF_HEAD_BYTES]:
        raise UnreadableDocument(
            "The file is named as a PDF but is none. Name it after what it is."
        )
    elif kind != "pdf" and data.startswith((_PDF, _ZIP, _OLE)):
        raise UnreadableDocument(
            f"The file is named .{kind} but holds another format. Name it after what it is."
        )


def _check_docx(data: bytes) -> None:
    if data.startswith(_OLE):
        raise UnreadableDocument(
            "The file is an encrypted or an old Word document. Remove the password, save it as .docx "
            "and send that."
        )
    if not data.startswith(_ZIP):
        raise UnreadableDocument(
            "The file is named as a Word document but is none. Name it after what it is."
        )


def _extracted(answer: Mapping[str, Any], max_chars: int) -> ExtractedText:
    """Return the answer as a value; the child read hostile bytes, so what it says is checked."""
    text = answer.get("text")
    if not isinstance(text, str) or len(text) > max_chars + 1:  # one for the last separator
        raise _nonsense()
    flat = _ascending(answer.get("spans"), len(text))
    starts = answer.get("page_starts")
    pages = None if starts is None else tuple(_ascending(starts, len(text)))
    missing = _ascending(answer.get("pages_without_text"), len(pages or ()))
    if len(flat) % 2 or (pages is not None and pages[:1] != (0,)):
        raise _nonsense()
    blocks = tuple(Block(a, b) for a, b in zip(flat[::2], flat[1::2], strict=True))
    return ExtractedText(storable(text), blocks, pages, tuple(missing))


def _ascending(values: object, most: int) -> list[int]:
    """Return `values` when they are whole numbers from 0 to `most` in ascending order."""
    if not isinstance(values, list) or not all(type(v) is int and 0 <= v <= most for v in values):
        raise _nonsense()
    if any(a > b for a, b in pairwise(values)):
        raise _nonsense()
    return values


def _nonsense() -> UnreadableDocument:
    return UnreadableDocument("The file could not be read. Save it anew and send that.")
