"""The files of a zip archive that becomes a batch. Nothing is unpacked beside the caller's own streams.

Refused before anything is read: encrypted or unusually compressed files, links, archives within the archive,
paths that lead out of a folder. Refused while reading: more bytes than declared limits, and a file that
inflates too far.
"""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from service.domain.zip_methods import BOUNDED
from service.errors import Fault, InvalidRequest, TooLarge, UnreadableDocument

MAX_RATIO = 200
"""A larger file may inflate to so many times its size; text reaches about 20."""
_FREE_BYTES = 1_048_576  # of a file, for which the ratio does not count
_MAX_NAME_CHARS = 255
_LISTING_BYTES = 512
"""Bytes of the central directory for each file that is allowed; a name has at most 255 characters."""
_LEFT_BEHIND = re.compile(r"(?:.*/)?(?:__MACOSX/.*|\.DS_Store|Thumbs\.db)", re.DOTALL)
_ARCHIVES = re.compile(
    r".*\.(?:zip|7z|rar|tar|tgz|gz|bz2|xz|zst|jar|cab|iso)", re.IGNORECASE | re.DOTALL
)
_PATH_GAMES = re.compile(r"(?:/|[A-Za-z]:|.*(?:^|/)\.\.(?:/|$)).*", re.DOTALL)
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A file of an archive: its path there, and a stream that can be read once."""

    name: str
    stream: BoundedEntry


class BoundedEntry:
    """The bytes of an archived file; `read` raises TooLarge if it inflates too far."""

    def __init__(self, stream: IO[bytes], entry: zipfile.ZipInfo) -> None:
        self._stream = stream
        self._name = entry.filename
        self._left_bytes = max(_FREE_BYTES, MAX_RATIO * entry.compress_size)

    def read(self, n: int, /) -> bytes:
        """Return up to `n` bytes; none at the end."""
        with _broken_archive():
            block = self._stream.read(n)
        self._left_bytes -= len(block)
        if self._left_bytes < 0:
            raise _refused(
                TooLarge, self._name, f"inflates to more than {MAX_RATIO} times its size, the limit"
            )
        return block


def archived_files(file: IO[bytes], *, max_files: int) -> Iterator[ArchivedFile]:
    """Yield the files of a seekable archive in its order; read each before the next.

    Folders, and what other programs leave behind (__MACOSX, .DS_Store, Thumbs.db), are left out.

    Raises:
        UnreadableDocument: the archive is damaged, or a file in it is encrypted or not compressed by Deflate.
        InvalidRequest: a file is a link or an archive, or its path leads out of a folder.
        TooLarge: there are more than `max_files` files, or a file inflates too far.
    """
    with _broken_archive():
        archive = zipfile.ZipFile(_Listing(file, _LISTING_BYTES * (max_files + 100)))
    with archive:
        entries = [e for e in archive.infolist() if not _is_left_out(e)]
        if len(entries) > max_files:
            raise TooLarge(
                f"The archive holds {len(entries):,} files; a batch has at most {max_files:,} "
                "(MAX_BATCH_FILES). Send it in parts."
            )
        for entry in entries:
            _check(entry)
        for entry in entries:
            with _broken_archive():
                stream = archive.open(entry)
            with stream:
                yield ArchivedFile(_shown(entry.filename), BoundedEntry(stream, entry))


class _Listing:
    """An archive file whose list of files may not be read beyond a limit, since it is kept in memory."""

    def __init__(self, file: IO[bytes], max_bytes: int) -> None:
        self._file = file
        self._max_bytes = max_bytes

    def read(self, n: int = -1, /) -> bytes:
        if n > self._max_bytes:
            raise TooLarge(
                "The archive's list of files is too long for a batch (MAX_BATCH_FILES). Send it in parts."
            )
        return self._file.read(n)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


def _is_left_out(entry: zipfile.ZipInfo) -> bool:
    return entry.is_dir() or _LEFT_BEHIND.fullmatch(entry.filename) is not None


def _check(entry: zipfile.ZipInfo) -> None:
    path = entry.filename.replace("\\", "/")
    if entry.flag_bits & 1:
        raise _refused(UnreadableDocument, path, "is encrypted; remove the password")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise _refused(InvalidRequest, path, "is a link to another file; pack the file itself")
    if _PATH_GAMES.fullmatch(path):
        raise _refused(InvalidRequest, path, "has a path that leads out of the archive's folder")
    if _ARCHIVES.fullmatch(path):
        raise _refused(InvalidRequest, path, "is an archive itself; unpack it first")
    if entry.compress_type not in BOUNDED:
        raise _refused(
            UnreadableDocument,
            path,
            "is compressed by another method than Deflate; pack it again as an ordinary zip",
        )


def _refused(
    kind: type[InvalidRequest | UnreadableDocument | TooLarge], path: str, reason: str
) -> InvalidRequest | UnreadableDocument | TooLarge:
    message = f"{_shown(path)} in the archive {reason}."
    return kind(message, faults=(Fault("archive", message),))


def _shown(path: str) -> str:
    """Return a path that can be stored and shown; a long one keeps its end."""
    shown = "".join(c for c in path.replace("\\", "/") if c.isprintable())
    return shown[-_MAX_NAME_CHARS:] or "unnamed"


@contextmanager
def _broken_archive() -> Iterator[None]:
    """Map what zipfile raises for a damaged archive to UnreadableDocument."""
    try:
        yield
    except _BROKEN as error:
        raise UnreadableDocument(
            "The archive is damaged, or no zip. Pack it again and send the new file.",
            faults=(Fault("archive", "Send a zip archive."),),
        ) from error
