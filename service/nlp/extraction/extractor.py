"""Turns bytes and a media type into text with blocks and pages.

A sandbox reads every document except short plain text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.errors import Overloaded, RateLimited, TooLarge, UnreadableDocument
from service.nlp.cpu_quota import cpu_quota
from service.nlp.deadline import Deadline
from service.nlp.document import ExtractedText
from service.nlp.extraction.fair_slots import FairSlots
from service.nlp.extraction.media_types import (
    TEXT_FIELD_READER,
    Format,
    check_signature,
    declared_charset,
    detect_format,
)
from service.nlp.extraction.ocr import Ocr
from service.nlp.extraction.ocr_pages import with_pages
from service.nlp.extraction.plain_text import add_verbatim
from service.nlp.extraction.sandbox import WORKER, ReadJob, read_in_sandbox
from service.nlp.extraction.sandbox_answer import extracted_text, validated
from service.nlp.extraction.sandbox_worker import load_reader
from service.nlp.extraction.text_builder import (
    MAX_BLOCKS,
    MAX_PARTS,
    MAX_PICTURE_BYTES,
    TextBuilder,
    check_chars,
)

_SHORT_BYTES = 65_536
"""Plain text up to this size is read in this process. That takes 1 ms for prose and 57 ms for the slowest
text known; starting a child takes 37 ms (CPU time on an AMD EPYC, November 2026)."""
_MAX_CHILDREN = 8
"""Each may use EXTRACT_MEMORY_BYTES."""


def extract_text(text: str, *, max_chars: int) -> ExtractedText:
    """Return `text` with its paragraphs as blocks; NUL and lone surrogates become U+FFFD.

    Runs in this process, whatever the length.

    Raises:
        TooLarge: more than `max_chars` characters, or more than MAX_BLOCKS blocks.
    """
    builder = TextBuilder(max_chars)
    add_verbatim(text, builder)
    return extracted_text(builder)


def n_slots(n_cpus: int) -> int:
    """Return how many documents may be read in parallel: at least two, so that no caller holds all slots."""
    return max(2, min(n_cpus, _MAX_CHILDREN))


class Extractor:
    """Reads documents under limits. Thread-safe.

    Each child process holds one of `slots`, which callers share fairly. `caller` is an opaque key.
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
        ocr: Ocr | None = None,
        worker: str = WORKER,
    ) -> None:
        """`ocr` reads the pages of a PDF that have no text; `worker` is the module that a child runs."""
        self._worker = worker
        self._max_file_bytes = max_file_bytes
        self._max_text_chars = max_text_chars
        self._max_pages = max_pages
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._ocr = ocr
        self._slots = slots or FairSlots(n_slots(cpu_quota()))

    @property
    def has_ocr(self) -> bool:
        """Whether the pictures of pages without text are read."""
        return self._ocr is not None

    def extract_text(
        self, text: str, *, caller: str = "", deadline: Deadline | None = None
    ) -> ExtractedText:
        """Return what the function `extract_text` returns; the sandbox reads long text.

        Raises:
            TooLarge: the text exceeds a limit, which the message names.
            RateLimited, Overloaded, AnalyzerTimeout: as in `extract`.
        """
        if len(text) <= _SHORT_BYTES:
            return extract_text(text, max_chars=self._max_text_chars)
        check_chars(len(text), self._max_text_chars)
        data = text.encode("utf-8", "surrogatepass")
        extracted, _ = self._read_in_sandbox(
            data, TEXT_FIELD_READER, {}, caller=caller, deadline=deadline
        )
        return extracted

    def extract(
        self,
        data: bytes,
        *,
        filename: str | None,
        media_type: str | None,
        caller: str = "",
        deadline: Deadline | None = None,
    ) -> ExtractedText:
        """Return the whole text of a file with its blocks, and its pages or parts if it has any.

        The format follows from the bytes, else the extension, else the media type. Reading ends at the scan's
        `deadline` or at the extractor's own limit, whichever is sooner.

        Raises:
            UnsupportedMediaType: the format is not supported; the message lists the supported ones.
            UnreadableDocument: the file is empty, damaged, encrypted, only images, or of another format.
            TooLarge: the file exceeds a limit, which the message names.
            RateLimited: the caller's own files use up the caller's share of the slots.
            Overloaded: other callers' files use all slots.
            AnalyzerTimeout: `deadline` passed.
        """
        self._check_size(data)
        file_format = detect_format(data, filename=filename, media_type=media_type)
        if not data:
            raise UnreadableDocument("The file is empty.")
        check_signature(file_format, data)
        charset = declared_charset(media_type)
        if file_format.is_plain_text and len(data) <= _SHORT_BYTES:
            extracted = self._read_here(data, file_format, charset)
        else:
            reader, options = file_format.call(charset=charset, max_pages=self._max_pages)
            extracted, pictures = self._read_in_sandbox(
                data, reader, options, caller=caller, deadline=deadline
            )
            extracted = self._read_pictures(extracted, pictures or {0: data}, caller, deadline)
        if not extracted.blocks:
            raise UnreadableDocument(_why_nothing(extracted))
        return extracted

    def _check_size(self, data: bytes) -> None:
        if len(data) > self._max_file_bytes:
            raise TooLarge(
                f"The file has {len(data):,} bytes; {self._max_file_bytes:,} are read. Send it in parts, "
                "or ask the operator to raise MAX_FILE_BYTES."
            )

    def _read_here(self, data: bytes, file_format: Format, charset: str | None) -> ExtractedText:
        builder = TextBuilder(self._max_text_chars)
        load_reader(file_format.reader)(data, builder, charset=charset)
        return extracted_text(builder)

    def _read_in_sandbox(
        self,
        data: bytes,
        reader: str,
        options: Mapping[str, Any],
        *,
        caller: str,
        deadline: Deadline | None,
    ) -> tuple[ExtractedText, dict[int, bytes]]:
        """Wait for a slot, then read `data` in a child; the time-out applies to each of the two."""
        job = ReadJob(
            reader,
            options,
            max_chars=self._max_text_chars,
            memory_bytes=self._memory_bytes,
            cpu_s=self._timeout_s,
            keeps_pictures=self._ocr is not None,
        )
        try:
            with self._slots.hold(caller, timeout_s=self._time_left_s(deadline)):
                head, body = read_in_sandbox(
                    data,
                    job,
                    timeout_s=self._time_left_s(deadline),
                    max_answer_bytes=self._max_answer_bytes(),
                    worker=self._worker,
                )
        except (TooLarge, Overloaded, RateLimited):
            if deadline is not None:
                deadline.check()  # raises AnalyzerTimeout if the scan's deadline was the sooner one
            raise
        return validated(head, body, self._max_text_chars)

    def _read_pictures(
        self,
        extracted: ExtractedText,
        pictures: Mapping[int, bytes],
        caller: str,
        deadline: Deadline | None,
    ) -> ExtractedText:
        """Add the text of pages that have none; `pictures` has the PDFs by the number of their part."""
        if self._ocr is None:
            return extracted
        read: dict[tuple[int, int], str] = {}
        for part, pdf in pictures.items():
            for page in extracted.layout.parts[part].pages.without_text:
                if deadline is not None:
                    deadline.check()
                with self._slots.hold(caller, timeout_s=self._time_left_s(deadline)):
                    read[part, page] = self._ocr.read_page(pdf, page, deadline=deadline)
        added = with_pages(extracted, read)
        check_chars(len(added.text) - 1, self._max_text_chars)
        return added

    def _time_left_s(self, deadline: Deadline | None) -> float:
        return min(self._timeout_s, deadline.remaining_s()) if deadline else self._timeout_s

    def _max_answer_bytes(self) -> int:
        per_page, per_part, per_block, per_char = 24, 8_192, 20, 4
        blocks = per_block * min(MAX_BLOCKS, self._max_text_chars)
        parts = per_part * MAX_PARTS + per_page * self._max_pages
        pictures = 0 if self._ocr is None else MAX_PICTURE_BYTES
        text = 2 * per_char * self._max_text_chars  # headings repeat text
        return 1_048_576 + parts + blocks + pictures + text


def _why_nothing(extracted: ExtractedText) -> str:
    unread = extracted.layout.unread_parts()
    if not unread:
        return "The file is empty: it holds no words."
    return f"No file in it can be read ({len(unread)} tried). The first: {unread[0].problem}"
