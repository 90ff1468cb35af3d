"""Reads and writes the members of a compressed tar stream, each a plain file with a short name.

Anything else, such as a link, a device or an extended header, is refused before its content is read.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from backports import zstd

from service.errors import InvalidRequest

BLOCK_BYTES = 1 << 18
_LEVEL = 3
_RECORD = tarfile.BLOCKSIZE


class Readable(Protocol):
    def read(self, n: int, /) -> bytes: ...


def damaged(why: str) -> InvalidRequest:
    """Return the error of an archive that cannot be used."""
    return InvalidRequest(f"This backup is damaged or cut off: {why}. Nothing of it was restored.")


class MemberWriter:
    """Writes members to a stream; `close` ends the archive and leaves the stream open."""

    def __init__(self, stream: BinaryIO, *, time_s: float) -> None:
        self._file = zstd.ZstdFile(stream, "wb", level=_LEVEL)
        self._time_s = int(time_s)

    def add(self, name: str, source: Readable, size_bytes: int) -> None:
        """Write a member of exactly `size_bytes` bytes.

        Raises:
            OSError: the source ends early, or the stream cannot be written.
        """
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size_bytes, self._time_s, 0o600
        self._file.write(info.tobuf(tarfile.GNU_FORMAT))
        left = size_bytes
        while left:
            block = source.read(min(BLOCK_BYTES, left))
            if not block:
                raise OSError(f"{name} became shorter while it was read")
            self._file.write(block)
            left -= len(block)
        self._file.write(bytes(-size_bytes % _RECORD))

    def add_bytes(self, name: str, data: bytes) -> None:
        """Write a member."""
        self.add(name, io.BytesIO(data), len(data))

    def close(self) -> None:
        """Write the end of the archive."""
        self._file.write(bytes(2 * _RECORD))
        self._file.close()


@dataclass(slots=True)
class Member:
    """A member, whose bytes can be read once, until the next member is read."""

    name: str
    size_bytes: int
    _file: zstd.ZstdFile
    _left: int

    def read(self, n: int, /) -> bytes:
        """Return the next bytes, at most `n`; none at the end."""
        block = _exactly(self._file, min(n, BLOCK_BYTES, self._left))
        self._left -= len(block)
        return block

    def whole(self, max_bytes: int) -> bytes:
        """Return all bytes.

        Raises:
            InvalidRequest: there are more than `max_bytes`; none was read.
        """
        if self.size_bytes > max_bytes:
            raise damaged(f"{self.name} has {self.size_bytes:,} bytes")
        blocks = []
        while block := self.read(BLOCK_BYTES):
            blocks.append(block)
        return b"".join(blocks)


def members(stream: BinaryIO) -> Iterator[Member]:
    """Yield the members of an archive in their order; skips what the caller does not read.

    Raises:
        InvalidRequest: it is no such archive, is cut off, or has a member that is no plain file.
    """
    with zstd.ZstdFile(stream, "rb") as file:
        while True:
            block = _exactly(file, _RECORD)
            if not any(block):
                return
            info = _plain_file(block)
            member = Member(info.name, info.size, file, info.size)
            yield member
            while member.read(BLOCK_BYTES):
                pass
            _exactly(file, -info.size % _RECORD)


def _plain_file(block: bytes) -> tarfile.TarInfo:
    try:
        info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise damaged("a header cannot be read") from error
    if info.type != tarfile.REGTYPE or info.size < 0:
        raise damaged("it has a member that is no plain file")
    return info


def _exactly(file: zstd.ZstdFile, n: int) -> bytes:
    """Return the next `n` bytes."""
    data = b""
    while len(data) < n:
        try:
            block = file.read(n - len(data))
        except (zstd.ZstdError, EOFError) as error:
            raise damaged("it cannot be decompressed") from error
        if not block:
            raise damaged("its end is missing")
        data = data + block if data else block
    return data
