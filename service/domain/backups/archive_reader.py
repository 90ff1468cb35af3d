"""Reads an archive, and verifies all of it before anything is restored."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError

from service.domain.backups.contents import (
    FORMAT,
    HEADER,
    MANIFEST,
    FileSum,
    Header,
    Manifest,
    TableSum,
)
from service.domain.backups.tar_members import BLOCK_BYTES, Member, damaged, members
from service.errors import InvalidRequest

_P = TypeVar("_P", bound=BaseModel)
_FILE = re.compile(r"([fob])/([0-9a-f]{32})/([0-9a-f]{64})")
_ROWS = re.compile(r"tables/([a-z][a-z0-9_]{0,62})/([0-9]{6,9})\.jsonl")
_MAX_PART_BYTES = 64 << 20
_MAX_CHUNK_BYTES = 256 << 20
"""A row has texts of up to 16 MiB, and its line may be several times as long."""


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """The bytes of a member, which can be read once."""

    kind: str
    user_id: UUID
    sha256: str
    member: Member


@dataclass(frozen=True, slots=True)
class ArchivedRows:
    """Some rows of a table, as lines of JSON."""

    table: str
    number: int
    data: bytes

    def rows(self) -> list[list[Any]]:
        """Return the rows.

        Raises:
            InvalidRequest: a line is no JSON array.
        """
        try:
            text = self.data.decode("utf-8", "surrogatepass")
            rows = [json.loads(line) for line in text.split("\n")[:-1]]
        except ValueError as error:
            raise damaged(f"rows of {self.table} cannot be read") from error
        if not all(isinstance(row, list) for row in rows):
            raise damaged(f"rows of {self.table} cannot be read")
        return rows


@dataclass(slots=True)
class Sums:
    """What has been read of an archive so far, to be compared with its manifest."""

    tables: dict[str, Any] = field(default_factory=dict)
    n_rows: dict[str, int] = field(default_factory=dict)
    n_chunks: dict[str, int] = field(default_factory=dict)

    def add(self, chunk: ArchivedRows) -> None:
        """Count and hash rows; raise InvalidRequest if they do not follow those before."""
        table = chunk.table
        if chunk.number != self.n_chunks.get(table, 0) + 1:
            raise damaged(f"rows of {table} are missing")
        self.n_chunks[table] = chunk.number
        self.n_rows[table] = self.n_rows.get(table, 0) + chunk.data.count(b"\n")
        self.tables.setdefault(table, hashlib.sha256()).update(chunk.data)

    def require(self, manifest: Manifest) -> None:
        """Raise InvalidRequest if the rows differ from the manifest."""
        if self.tables.keys() - manifest.tables.keys():
            raise damaged("it has rows of a table that its manifest does not name")
        for table, expected in manifest.tables.items():
            digest = self.tables.get(table, hashlib.sha256()).hexdigest()
            if TableSum(rows=self.n_rows.get(table, 0), sha256=digest) != expected:
                raise damaged(f"the rows of {table} differ from their SHA-256")


class Archive:
    """A backup on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def header(self) -> Header:
        """Return the header; reads nothing else.

        Raises:
            InvalidRequest: this is no backup, or has a newer format than this version reads.
        """
        with self._path.open("rb") as stream:
            parts = members(stream)
            return _header(next(parts, None))[0]

    def verify(self) -> Manifest:
        """Read everything, compare it with the digests and return the manifest.

        Raises:
            InvalidRequest: the archive is damaged or cut off.
        """
        with self._path.open("rb") as stream:
            parts = members(stream)
            header, sha256 = _header(next(parts, None))
            sums, files, changed = Sums(), {"f": FileSum(), "o": FileSum(), "b": FileSum()}, set()
            for member in parts:
                if member.name == MANIFEST:
                    manifest = _parse(Manifest, member.whole(_MAX_PART_BYTES))
                    break
                part = _part(member)
                if isinstance(part, ArchivedRows):
                    sums.add(part)
                    continue
                files[part.kind] = _counted(files[part.kind], member)
                if _sha256(member) != part.sha256:
                    changed.add(member.name)
            else:
                raise damaged("its manifest is missing")
            if next(parts, None) is not None:
                raise damaged("something follows its end")
        sums.require(manifest)
        _require_agreement(manifest, header, sha256, files, changed)
        return manifest

    def parts(self) -> Iterator[ArchivedFile | ArchivedRows]:
        """Yield all files, then all rows, of an archive that was verified."""
        with self._path.open("rb") as stream:
            for member in members(stream):
                if member.name not in {HEADER, MANIFEST}:
                    yield _part(member)


def _header(member: Member | None) -> tuple[Header, str]:
    """Return the header and its SHA-256."""
    if member is None or member.name != HEADER:
        raise damaged("it does not begin with a header")
    data = member.whole(_MAX_PART_BYTES)
    try:
        version = json.loads(data)["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise damaged("its header cannot be read") from error
    if version != FORMAT:
        raise InvalidRequest(
            f"This backup has format {version}, and this version reads {FORMAT}. Restore it with the version "
            "that wrote it."
        )
    return _parse(Header, data), hashlib.sha256(data).hexdigest()


def _part(member: Member) -> ArchivedFile | ArchivedRows:
    if match := _FILE.fullmatch(member.name):
        return ArchivedFile(match[1], UUID(match[2]), match[3], member)
    if match := _ROWS.fullmatch(member.name):
        return ArchivedRows(match[1], int(match[2]), member.whole(_MAX_CHUNK_BYTES))
    raise damaged("it has a member with an unknown name")


def _parse(model: type[_P], data: bytes) -> _P:
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise damaged(f"its {model.__name__.lower()} cannot be read") from error


def _counted(before: FileSum, member: Member) -> FileSum:
    return FileSum(n=before.n + 1, size_bytes=before.size_bytes + member.size_bytes)


def _sha256(member: Member) -> str:
    digest = hashlib.sha256()
    while block := member.read(BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _require_agreement(
    manifest: Manifest, header: Header, sha256: str, files: dict[str, FileSum], changed: set[str]
) -> None:
    if sha256 != manifest.header_sha256 or header.tables.keys() != manifest.tables.keys():
        raise damaged("its header differs from its manifest")
    # Archives of earlier versions have fewer kinds.
    found = {kind: (s.n, s.size_bytes) for kind, s in files.items() if s.n}
    if found != {str(kind): (s.n, s.size_bytes) for kind, s in manifest.files.items() if s.n}:
        raise damaged("files are missing")
    if changed != manifest.damaged:
        raise damaged("a file differs from its SHA-256")
