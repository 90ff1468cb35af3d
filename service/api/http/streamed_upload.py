"""Reads a form with one file as a stream: the file is never whole in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from flask import Request
from werkzeug.datastructures import FileStorage
from werkzeug.sansio.multipart import (
    BLANK_LINE_RE,
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
    State,
)

from service.api.http.limits import MAX_PART_HEAD_BYTES
from service.errors import Fault, InvalidRequest

_PART = "file"
_BLOCK_BYTES = 1 << 16
_BUFFERED_BYTES = 1 << 18
_MAX_BOUNDARY_CHARS = 70  # RFC 2046, section 5.1.1; the search for one of 30,000 took 1 s in 64 kB
_ONE_FILE = f"Send one file, in the form part `{_PART}`, and nothing else."


def read_file_part(request: Request) -> dict[str, FileStorage]:
    """Return the form's only part, a file that can be read once; {} if a browser sent no file.

    The rest of the form is read with the file, so the file's `read` raises faults that follow it.

    Raises:
        InvalidRequest: the form is malformed, or has other parts.
    """
    boundary = request.mimetype_params.get("boundary", "")
    events = form_events(request.stream, boundary)
    first = next(events, None)
    if first is None:
        return {}
    if not isinstance(first, File) or first.name != _PART:
        raise _one_file()
    stream: Any = _FileStream(events)
    if not first.filename and not stream.peek():
        return {}
    return {_PART: FileStorage(stream, first.filename, _PART, headers=first.headers)}


class _FileStream:
    """The bytes of a part, from the events of the form."""

    def __init__(self, events: Iterator[Event]) -> None:
        self._events = events
        self._block = b""
        self._is_last = False

    def read(self, n: int, /) -> bytes:
        """Return up to `n` bytes; none at the end of the part."""
        block = self.peek()
        self._block = block[n:]
        return block[:n]

    def peek(self) -> bytes:
        """Return the next bytes without consuming them; none at the end of the part."""
        while not self._block and not self._is_last:
            event = next(self._events)
            if not isinstance(event, Data):
                raise _one_file()
            self._block, self._is_last = event.data, not event.more_data
            if self._is_last and next(self._events, None) is not None:
                raise _one_file()
        return self._block


def form_events(
    stream: IO[bytes], boundary: str, *, max_parts: int | None = None
) -> Iterator[Event]:
    """Yield the heads of a form's parts, each with its data, in memory that does not depend on its length.

    Raises:
        InvalidRequest: the form is malformed, or a part has no name or too long a head.
        RequestEntityTooLarge: there are more than `max_parts` parts.
    """
    if not 0 < len(boundary) <= _MAX_BOUNDARY_CHARS:
        raise InvalidRequest(f"A form's boundary has 1 to {_MAX_BOUNDARY_CHARS} characters.")
    try:
        decoder = MultipartDecoder(boundary.encode("ascii"), _BUFFERED_BYTES, max_parts=max_parts)
        event = decoder.next_event()  # the preamble
        while not isinstance(event, Epilogue):
            if isinstance(event, NeedData):
                decoder.receive_data(stream.read(_BLOCK_BYTES) or None)
            elif isinstance(event, Field | File | Data):
                _require_name(event)
                yield event
            _check_head_length(decoder)
            event = decoder.next_event()
    except ValueError as error:
        raise InvalidRequest("The body is not a complete multipart form.") from error


def _require_name(event: Field | File | Data) -> None:
    if not isinstance(event, Data) and event.name is None:  # the decoder casts it to a str
        raise InvalidRequest("A part of the form has no name; add it to its Content-Disposition.")


def _check_head_length(decoder: MultipartDecoder) -> None:
    """Bound the head of a part before the decoder makes objects of its lines."""
    if (
        decoder.state is State.PART
        and len(decoder.buffer) > MAX_PART_HEAD_BYTES
        and BLANK_LINE_RE.search(decoder.buffer, 0, MAX_PART_HEAD_BYTES) is None
    ):
        raise InvalidRequest(
            f"The head of a part of the form has more than {MAX_PART_HEAD_BYTES:,} bytes."
        )


def _one_file() -> InvalidRequest:
    return InvalidRequest(_ONE_FILE, faults=(Fault(_PART, _ONE_FILE),))
