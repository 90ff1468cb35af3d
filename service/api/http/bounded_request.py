"""The class of the service's requests: forms and headers are read within bounds that werkzeug lacks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from io import SEEK_END, BytesIO
from typing import IO

from flask import Request
from werkzeug.datastructures import FileStorage, ImmutableMultiDict, MIMEAccept, MultiDict
from werkzeug.formparser import FormDataParser, MultiPartParser
from werkzeug.sansio.multipart import Data, Event, Field, File

from service.api.http.accept import read_accept
from service.api.http.cookies import read_cookies
from service.api.http.streamed_upload import form_events

_Parts = tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]


class _MemoryFile(BytesIO):
    """A file in memory; reading it whole makes no copy."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size not in {-1, None} or self.tell():
            return super().read(size)
        self.seek(0, SEEK_END)
        return self.getvalue()


class _FormParser(FormDataParser):
    """werkzeug's parser, except for multipart forms, of which werkzeug does not bound the heads of parts."""

    def parse(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: Mapping[str, str] | None = None,
    ) -> _Parts:
        """Return the stream, the fields and the files. Raises InvalidRequest as `form_events` does."""
        if mimetype != "multipart/form-data":
            parsed: _Parts = super().parse(stream, mimetype, content_length, dict(options or {}))
            return parsed
        fields: list[tuple[str, str]] = []
        files: list[tuple[str, FileStorage]] = []
        boundary = (options or {}).get("boundary", "")
        head: Event | None = None
        content = _MemoryFile()
        for event in form_events(stream, boundary, max_parts=self.max_form_parts):
            if not isinstance(event, Data):
                head, content = event, _MemoryFile()
                continue
            content.write(event.data)
            if not event.more_data and isinstance(head, File):
                content.seek(0)
                file = FileStorage(content, head.filename, head.name, headers=head.headers)
                files.append((head.name, file))
            elif not event.more_data and isinstance(head, Field):
                fields.append((head.name, _text(head, content.getvalue())))
        return stream, self.cls(fields), self.cls(files)


class BoundedRequest(Request):
    """A request that keeps the files of a form in memory, where its body already is."""

    form_data_parser_class = _FormParser

    @cached_property
    def cookies(self) -> ImmutableMultiDict[str, str]:
        """Return the cookies by name."""
        return ImmutableMultiDict(read_cookies(self.headers.get("Cookie", "")))

    @cached_property
    def accept_mimetypes(self) -> MIMEAccept:
        """Return the media types that the client accepts."""
        return read_accept(self.headers.get("Accept", ""))


def _text(head: Field, value: bytes) -> str:
    return value.decode(MultiPartParser().get_part_charset(head.headers), "replace")
