"""Reads a form with any number of files as a stream: first its fields, then one file after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Request
from werkzeug.datastructures import FileStorage
from werkzeug.sansio.multipart import Data, Event, Field, File

from service.api.http.limits import MAX_FORM_FIELDS, SMALL_BODY_BYTES
from service.api.http.streamed_upload import form_events
from service.errors import Fault, InvalidRequest

PARTS = ("file", "archive")
"""The names of parts with files. The schema of the body checks the first one's."""


@dataclass(frozen=True, slots=True)
class FormFile:
    """A file of a form: the name of its part, and the file, which can be read until the next one."""

    part: str
    file: FileStorage


class FormFiles:
    """The files of a form, which can be iterated once; the next file discards the rest of the one before."""

    def __init__(self, first: File, events: Iterator[Event]) -> None:
        self._head: File | None = first
        self._events = events

    def __iter__(self) -> Iterator[FormFile]:
        """Yield each file. Raises InvalidRequest where the form is malformed, or a field follows a file."""
        while self._head is not None:
            stream: Any = _PartStream(self._events)
            storage = FileStorage(
                stream, self._head.filename, self._head.name, headers=self._head.headers
            )
            if self._head.filename or stream.peek():  # a browser sends an empty part for no file
                yield FormFile(self._head.name, storage)
            stream.skip()
            self._head = self._next_head()

    def _next_head(self) -> File | None:
        following = next(self._events, None)
        if following is None:
            return None
        if not isinstance(following, File):
            raise _fault(following, "Send the fields of the form before its files.")
        if following.name not in PARTS:
            raise _fault(following, f"Send files in the parts {' and '.join(PARTS)} only.")
        return following


def read_form(request: Request) -> tuple[dict[str, str], FormFiles | None, str]:
    """Return the fields before the first file, the files, and the name of the first one's part.

    Raises:
        InvalidRequest: the form is malformed, a field is repeated, or there are too many or too long ones.
    """
    events = form_events(request.stream, request.mimetype_params.get("boundary", ""))
    fields: dict[str, str] = {}
    for event in events:
        if isinstance(event, File):
            return fields, FormFiles(event, events), event.name
        if isinstance(event, Field):
            _require_new(event.name, fields)
            fields[event.name] = _read_field(events)
    return fields, None, ""


class _PartStream:
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
                raise InvalidRequest("The body is not a complete multipart form.")
            self._block, self._is_last = event.data, not event.more_data
        return self._block

    def skip(self) -> None:
        """Read to the end of the part."""
        while self.peek():
            self._block = b""


def _read_field(events: Iterator[Event]) -> str:
    stream, value = _PartStream(events), b""
    while block := stream.read(SMALL_BODY_BYTES):
        value += block
        if len(value) > SMALL_BODY_BYTES:
            raise InvalidRequest(f"A field of the form has more than {SMALL_BODY_BYTES:,} bytes.")
    return value.decode("utf-8", "replace")


def _require_new(name: str, fields: dict[str, str]) -> None:
    if name in fields:
        fault = Fault(name, "This field was sent more than once.")
        raise InvalidRequest("A field was sent more than once.", faults=(fault,))
    if len(fields) >= MAX_FORM_FIELDS:
        raise InvalidRequest(f"The form has more than {MAX_FORM_FIELDS} fields.")


def _fault(event: Event, message: str) -> InvalidRequest:
    name = event.name if isinstance(event, Field | File) else "file"
    return InvalidRequest(message, faults=(Fault(name, message),))
