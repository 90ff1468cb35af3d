"""Bytes and a media type in, blocks of text with pages out.

A child process under limits (formats/child.py) parses all documents except short text, Markdown and CSV.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message
from itertools import pairwise
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

import numpy as np

from service.errors import (
    Overloaded,
    RateLimited,
    TooLarge,
    UnreadableDocument,
    UnsupportedMediaType,
)
from service.nlp.arrays import Ints, Offsets
from service.nlp.cpu_quota import cpu_quota
from service.nlp.deadline import Deadline
from service.nlp.document import Block, ExtractedText
from service.nlp.extraction.fair_slots import FairSlots
from service.nlp.extraction.plain_text import add_verbatim, reader_of
from service.nlp.extraction.sandbox import answer_of
from service.nlp.extraction.text_builder import MAX_BLOCKS, TextBuilder, check_chars, storable
from service.nlp.span_sequence import SpanSequence

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
_PLAIN = frozenset(("txt", "md", "csv"))
_PDF, _ZIP, _OLE = b"%PDF-", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PDF_HEAD_BYTES = 1024  # readers accept the mark anywhere in the first 1,024 bytes
_SHORT_BYTES = 65_536
"""Plain text of at most this size is read in this process: that takes 1 ms for prose and 57 ms for the worst
text found, a child 37 ms to start (processor time on an AMD EPYC, November 2026)."""
_MOST_SLOTS = 8  # children at once: each may take EXTRACT_MEMORY_BYTES


def extract_text(text: str, *, max_chars: int) -> ExtractedText:
    """Return `text` verbatim (NUL and lone surrogates as U+FFFD) with its paragraphs as blocks.

    Reads it in this process, whatever its length.

    Raises:
        TooLarge: more than `max_chars` characters, or more than MAX_BLOCKS blocks.
    """
    builder = TextBuilder(max_chars)
    add_verbatim(text, builder)
    return _built(builder)


def n_slots(n_processors: int) -> int:
    """Return how many children may read at once: at least two, so one caller never holds all slots."""
    return max(2, min(n_processors, _MOST_SLOTS))


class Extractor:
    """Reads documents under limits. One instance serves all threads; each child holds one of `slots`.

    `caller` is an opaque key: callers share the slots fairly.
    """

    def __init__(
        self,
        *,
        max_file_bytes: int,
        max_text_chars: int,
        max_pages: int,
        timeout_s: int,
        memory_bytes: int,
        slots: FairSlots | None = None,
    ) -> None:
        self._max_file_bytes = max_file_bytes
        self._max_text_chars = max_text_chars
        self._max_pages = max_pages
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._slots = slots or FairSlots(n_slots(cpu_quota()))

    def extract_text(
        self, text: str, *, caller: str = "", deadline: Deadline | None = None
    ) -> ExtractedText:
        """Return the same as `extract_text` above, within the limits.

        Raises:
            TooLarge: over a limit, which the message names.
            RateLimited, Overloaded, AnalyzerTimeout: as `extract`.
        """
        if len(text) <= _SHORT_BYTES:
            return extract_text(text, max_chars=self._max_text_chars)
        check_chars(len(text), self._max_text_chars)
        data = text.encode("utf-8", "surrogatepass")
        return self._in_child("text", None, data, caller=caller, deadline=deadline)

    def extract(
        self,
        data: bytes,
        *,
        filename: str | None,
        media_type: str | None,
        caller: str = "",
        deadline: Deadline | None = None,
    ) -> ExtractedText:
        """Return the text of a file, whole, with its blocks and, for PDF, its pages.

        The format comes from the extension, else from the media type, else from the bytes. Reading ends at
        the scan's `deadline`, or at the extractor's own limit if that is sooner.

        Raises:
            UnsupportedMediaType: an unsupported format; the message names the supported ones.
            UnreadableDocument: empty, damaged, encrypted, images only, or not what it is named.
            TooLarge: over a limit, which the message names.
            RateLimited: the caller's own files use up the caller's share of the slots.
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
        if kind in _PLAIN and len(data) <= _SHORT_BYTES:
            builder = TextBuilder(self._max_text_chars)
            reader_of(kind, charset=charset)(data, builder)
            extracted = _built(builder)
        else:
            extracted = self._in_child(kind, charset, data, caller=caller, deadline=deadline)
        if not extracted.blocks:
            raise UnreadableDocument("The file is empty: it holds no words.")
        return extracted

    def _in_child(
        self, kind: str, charset: str | None, data: bytes, *, caller: str, deadline: Deadline | None
    ) -> ExtractedText:
        """Wait for a slot and read `data` in a child; the wait and the reading have a time limit each."""
        order = {
            "format": kind,
            "charset": charset,
            "max_chars": self._max_text_chars,
            "max_pages": self._max_pages,
            "memory_bytes": self._memory_bytes,
            "cpu_s": self._timeout_s,
        }
        try:
            with self._slots.hold(caller, timeout_s=self._time_left_s(deadline)):
                head, body = answer_of(
                    data,
                    order,
                    timeout_s=self._time_left_s(deadline),
                    max_answer_bytes=self._max_answer_bytes(),
                )
        except (TooLarge, Overloaded, RateLimited):
            if deadline is not None:
                deadline.check()  # the deadline ended the wait
            raise
        return _extracted(head, body, self._max_text_chars)

    def _time_left_s(self, deadline: Deadline | None) -> float:
        return min(self._timeout_s, deadline.remaining_s()) if deadline else self._timeout_s

    def _max_answer_bytes(self) -> int:
        per_page, per_block, per_char = 24, 16, 4
        blocks = per_block * min(MAX_BLOCKS, self._max_text_chars)
        return 1_048_576 + per_page * self._max_pages + blocks + per_char * self._max_text_chars


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


def _built(builder: TextBuilder) -> ExtractedText:
    offsets = np.frombuffer(builder.offsets, np.int64).reshape(-1, 2)
    return ExtractedText(builder.text(), SpanSequence(offsets, Block))


def _extracted(head: Mapping[str, Any], body: memoryview, max_chars: int) -> ExtractedText:
    """Return the answer as a value; the child read hostile bytes, so what it says is checked."""
    n_blocks = head.get("n_blocks")
    if type(n_blocks) is not int or not 0 <= 16 * n_blocks <= len(body):
        raise _nonsense()
    try:
        text = str(body[16 * n_blocks :], "utf-8")
    except UnicodeDecodeError as error:
        raise _nonsense() from error
    if len(text) > max_chars + 1:  # one for the last separator
        raise _nonsense()
    starts = head.get("page_starts")
    pages = None if starts is None else tuple(_ascending(starts, len(text)))
    missing = _ascending(head.get("pages_without_text"), len(pages or ()))
    if pages is not None and pages[:1] != (0,):
        raise _nonsense()
    offsets = _ascending_offsets(np.frombuffer(body, np.int64, 2 * n_blocks), len(text))
    return ExtractedText(storable(text), SpanSequence(offsets, Block), pages, tuple(missing))


def _ascending_offsets(flat: Ints, most: int) -> Offsets:
    """Return `flat` as pairs when it runs from 0 to `most` in ascending order."""
    if flat.size and not (flat[0] >= 0 and flat[-1] <= most and (np.diff(flat) >= 0).all()):
        raise _nonsense()
    return flat.reshape(-1, 2).copy()  # aligned, and without the text beside it


def _ascending(values: object, most: int) -> list[int]:
    """Return `values` when they are whole numbers from 0 to `most` in ascending order."""
    if not isinstance(values, list) or not all(type(v) is int and 0 <= v <= most for v in values):
        raise _nonsense()
    if any(a > b for a, b in pairwise(values)):
        raise _nonsense()
    return values


def _nonsense() -> UnreadableDocument:
    return UnreadableDocument("The file could not be read. Save it anew and send that.")
