"""Writes an archive: header, files, rows, manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, BinaryIO
from uuid import UUID

from service.domain.backups.contents import (
    HEADER,
    MANIFEST,
    FileSum,
    Header,
    Kind,
    Manifest,
    TableSum,
)
from service.domain.backups.tar_members import MemberWriter, Readable

CHUNK_BYTES = 1 << 20
"""Rows are collected up to so many bytes before they are written."""


class ArchiveWriter:
    """One archive; call `add_file` and `add_rows` for everything, then `finish`."""

    def __init__(self, stream: BinaryIO, header: Header) -> None:
        self._header = header
        self._members = MemberWriter(stream, time_s=header.created_at.timestamp())
        self._tables: dict[str, TableSum] = {}
        self._files: dict[Kind, FileSum] = {"f": FileSum(), "o": FileSum(), "b": FileSum()}
        self._damaged: set[str] = set()
        self._members.add_bytes(HEADER, _json(header))

    def add_file(
        self, kind: Kind, user_id: UUID, sha256: str, source: Readable, size_bytes: int
    ) -> bool:
        """Add bytes that are stored under `sha256`; return whether they still have that hash."""
        name, hashed = f"{kind}/{user_id.hex}/{sha256}", _Hashed(source)
        self._members.add(name, hashed, size_bytes)
        is_sound = hashed.hexdigest() == sha256
        if not is_sound:
            self._damaged.add(name)
        before = self._files[kind]
        counts = {"n": before.n + 1, "size_bytes": before.size_bytes + size_bytes}
        self._files[kind] = before.model_copy(update=counts)
        return is_sound

    def note_missing(self, kind: Kind) -> None:
        """Note that bytes which a row needs are not on disk."""
        before = self._files[kind]
        self._files[kind] = before.model_copy(update={"n_missing": before.n_missing + 1})

    def add_rows(self, table: str, rows: Iterable[list[Any]]) -> None:
        """Add all rows of a table."""
        digest, n_rows, n_chunks = hashlib.sha256(), 0, 0
        lines: list[bytes] = []
        size_bytes = 0

        def write_chunk() -> None:
            nonlocal n_chunks, size_bytes
            n_chunks += 1
            chunk = b"".join(lines)
            digest.update(chunk)
            self._members.add_bytes(f"tables/{table}/{n_chunks:06}.jsonl", chunk)
            lines.clear()
            size_bytes = 0

        for row in rows:
            line = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
            lines.append(line.encode("utf-8", "surrogatepass") + b"\n")
            n_rows, size_bytes = n_rows + 1, size_bytes + len(lines[-1])
            if size_bytes >= CHUNK_BYTES:
                write_chunk()
        if lines:
            write_chunk()
        self._tables[table] = TableSum(rows=n_rows, sha256=digest.hexdigest())

    def finish(self) -> Manifest:
        """Write the manifest and the end of the archive; return the manifest."""
        manifest = Manifest(
            header_sha256=hashlib.sha256(_json(self._header)).hexdigest(),
            tables=self._tables,
            files=self._files,
            damaged=frozenset(self._damaged),
        )
        self._members.add_bytes(MANIFEST, _json(manifest))
        self._members.close()
        return manifest


class _Hashed:
    """A source that computes the sha256 of what is read."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._digest = hashlib.sha256()

    def read(self, n: int, /) -> bytes:
        block = self._source.read(n)
        self._digest.update(block)
        return block

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _json(part: Header | Manifest) -> bytes:
    return part.model_dump_json(indent=1).encode()
