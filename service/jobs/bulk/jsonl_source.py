"""SOURCE is JSON lines: {"id": ..., "text": ...} or {"id": ..., "path": ...}. Imports no Ray."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.errors import InvalidRequest, TooLarge
from service.jobs.bulk.documents import (
    SourceDocument,
    bad_document,
    encodable,
    file_document,
    text_document,
)

JSONL_ENDINGS = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_BYTES_PER_CHAR = 6
"""A character may be written as \\uXXXX."""
_OTHER_BYTES = 65_536
"""Room in a line for the other fields."""


@dataclass(frozen=True, slots=True)
class JsonlSource:
    """The documents of files of JSON lines, in order; a path is relative to the folder of its file.

    A document without an id has its path as id. A line that is not understood becomes a document with a
    problem, whose id is FILE:LINE.
    """

    files: tuple[Path, ...]
    id_field: str
    text_field: str
    max_bytes: int
    max_chars: int

    def check(self) -> None:
        """Raise InvalidRequest if a file cannot be opened."""
        for path in self.files:
            try:
                path.open("rb").close()
            except OSError as error:
                raise InvalidRequest(f"SOURCE {path} cannot be read: {error.strerror}.") from error

    def documents(self) -> Iterator[SourceDocument]:
        """Yield the documents; `share` counts the bytes of the files.

        Raises:
            OSError: a file cannot be read to its end.
        """
        total = sum(path.stat().st_size for path in self.files) or 1
        before = 0
        for path in self.files:
            with path.open("rb") as raw:
                for n, line in enumerate(self._lines(_unpacked(path, raw)), start=1):
                    if line is None or line.strip():
                        share = min(1.0, (before + raw.tell()) / total)
                        yield self._document(path, n, line, share)
            before += path.stat().st_size

    def _lines(self, file: io.BufferedIOBase) -> Iterator[bytes | None]:
        """Yield the lines; None for one that is longer than any text that is read."""
        longest = self.max_chars * _BYTES_PER_CHAR + _OTHER_BYTES
        while line := file.readline(longest):
            if len(line) < longest or line.endswith(b"\n"):
                yield line
                continue
            while (rest := file.readline(longest)) and not rest.endswith(b"\n"):
                pass
            yield None

    def _document(self, path: Path, n: int, line: bytes | None, share: float) -> SourceDocument:
        place = encodable(f"{path.name}:{n}")
        if line is None:
            error = TooLarge(
                f"The line holds more than a text of {self.max_chars:,} characters (MAX_TEXT_CHARS)."
            )
            return bad_document(place, error, share)
        try:
            return self._parsed(path.parent, line, share)
        except ValueError as error:
            return bad_document(place, InvalidRequest(str(error)), share)

    def _parsed(self, folder: Path, line: bytes, share: float) -> SourceDocument:
        """Return the document that a line states; ValueError, with a message, if it states none."""
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError("The line is not valid JSON.") from None
        if not isinstance(values, dict):
            raise ValueError("The line is not a JSON object.")  # noqa: TRY004 - the caller maps it
        text, path = values.get(self.text_field), values.get("path")
        if isinstance(text, str) == isinstance(path, str):
            raise ValueError(
                f'The line must have either the string "{self.text_field}" or the string "path".'
            )
        document_id = self._id(values, path)
        if isinstance(text, str):
            return text_document(document_id, text, share=share)
        return file_document(document_id, folder / str(path), max_bytes=self.max_bytes, share=share)

    def _id(self, values: dict[str, Any], path: object) -> str:
        value = values.get(self.id_field, path)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise ValueError(f'The line must have "{self.id_field}", a string or a whole number.')
        return encodable(str(value))


def _unpacked(path: Path, raw: io.BufferedReader) -> io.BufferedIOBase:
    return gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
