"""A content-addressed store: bytes on disk under the SHA-256 of their content. Knows no row and no user.

    <folder>/lock             held while bytes and rows change together
    <folder>/removal          says that the whole store is being removed
    <folder>/incoming/<hex>   a write in progress; its writer holds a lock on it
    <folder>/ab/ab12...       stored bytes

Bytes are complete once they have their final name: a write goes to `incoming`, is synchronized to the disk,
then renamed. A crash leaves at most a file in `incoming`, and `leftovers` lists those without a writer.
Only generated names and hashes reach the disk. The store removes nothing by itself.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from service.domain.files.file_range import FileRange
from service.errors import StorageUnavailable

BLOCK_BYTES = 1 << 18
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MISSING = (
    "The stored bytes of this file are missing; the operator runs `python -m service files verify`."
)
_LOCK, _REMOVAL = "lock", "removal"
_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC


class Readable(Protocol):
    """A source of bytes; `read` returns at most `n` bytes, and none at the end."""

    def read(self, n: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Bytes in the store: their SHA-256 in hex, and their number."""

    sha256: str
    size_bytes: int


class Incoming:
    """A finished write that is not stored yet; `keep` stores it."""

    def __init__(self, path: Path, target: Path, stored: StoredFile) -> None:
        self.stored = stored
        self._path = path
        self._target = target

    def keep(self) -> StoredFile:
        """Store the bytes, unless the store has them already; call it once."""
        with storage_errors():
            if _is_regular(self._target):
                return self.stored
            self._target.parent.mkdir(mode=0o700, exist_ok=True)
            self._path.rename(self._target)
            _sync_folder(self._target.parent)
        return self.stored


class FileStore:
    """Files below one folder, which the first write creates. Thread-safe, and safe between processes.

    Every method raises StorageUnavailable if the disk is full, or the folder cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, stream: Readable) -> StoredFile:
        """Store the bytes of `stream`, read in blocks; the same bytes again change nothing.

        To add a row too, use `lock` and `receive`: a concurrent `delete` could remove bytes that were there.
        """
        with self.receive(stream) as incoming:
            return incoming.keep()

    @contextlib.contextmanager
    def receive(self, stream: Readable) -> Iterator[Incoming]:
        """Write the bytes of `stream` to a temporary file; the end of the block removes it unless kept.

        An error of `stream.read` passes through, and nothing is stored.
        """
        path = self._folder / "incoming" / secrets.token_hex(16)
        with self.lock(), storage_errors():  # else `leftovers` could see the file before its lock
            path.parent.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            file = os.fdopen(os.open(path, flags, 0o600), "wb")
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            with file:
                stored = _copy(stream, file)
                yield Incoming(path, self._path(stored.sha256), stored)
        finally:
            path.unlink(missing_ok=True)

    def open(self, sha256: str, *, start: int = 0, end: int | None = None) -> FileRange:
        """Return the stored bytes from `start` to `end` (exclusive; default the last) as a seekable file.

        Raises:
            StorageUnavailable: also if the bytes are missing.
        """
        with storage_errors():
            try:
                descriptor = os.open(self._path(sha256), os.O_RDONLY | _NO_LINK)
            except FileNotFoundError as error:
                raise StorageUnavailable(_MISSING) from error
            return FileRange(os.fdopen(descriptor, "rb", buffering=0), start, end)

    def delete(self, sha256: str) -> bool:
        """Remove the bytes; return whether there were any."""
        with storage_errors():
            try:
                self._path(sha256).unlink()
            except FileNotFoundError:
                return False
        return True

    def has(self, sha256: str) -> bool:
        """Return whether the bytes are stored."""
        with storage_errors():
            return _is_regular(self._path(sha256))

    def sizes(self) -> Iterator[StoredFile]:
        """Yield hash and size of all stored bytes, by name only: `digest` reads them."""
        with storage_errors():
            for path in sorted(self._folder.glob("[0-9a-f][0-9a-f]/*")):
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    if _SHA256.fullmatch(path.name):
                        yield StoredFile(path.name, path.lstat().st_size)

    def digest(self, sha256: str) -> StoredFile:
        """Return hash and size of the bytes that are stored under `sha256`; they differ if it is damaged."""
        digest, size_bytes = hashlib.sha256(), 0
        with self.open(sha256) as file, storage_errors():
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
                size_bytes += len(block)
        return StoredFile(digest.hexdigest(), size_bytes)

    def has_incoming(self) -> bool:
        """Return whether there are temporary files, of writes in progress or left over."""
        with storage_errors():
            return any(self._folder.glob("incoming/*"))

    def leftovers(self) -> list[str]:
        """Return the names of temporary files whose writer died; a write in progress does not count.

        The caller holds `lock`.
        """
        with storage_errors():
            paths = sorted(self._folder.glob("incoming/*"))
            return [path.name for path in paths if not _is_locked(path)]

    def remove_leftover(self, name: str) -> None:
        """Remove a temporary file that `leftovers` listed."""
        with storage_errors():
            (self._folder / "incoming" / name).unlink(missing_ok=True)

    def mark_for_removal(self) -> None:
        """Note on the disk that the whole store is to be removed. The caller holds `lock`."""
        with storage_errors():
            (self._folder / _REMOVAL).touch(mode=0o600)
            _sync_folder(self._folder)

    def is_marked(self) -> bool:
        """Return whether the store is to be removed."""
        with storage_errors():
            return _is_regular(self._folder / _REMOVAL)

    def unmark(self) -> None:
        """Take back `mark_for_removal`. The caller holds `lock`."""
        with storage_errors():
            (self._folder / _REMOVAL).unlink(missing_ok=True)

    def remove(self) -> bool:
        """Remove all bytes and the folder; return whether nothing is left. The caller holds `lock`.

        A write in progress keeps its temporary file, and with it the folder and its mark.
        """
        for name in self.leftovers():
            self.remove_leftover(name)
        for stored in self.sizes():
            self.delete(stored.sha256)
        with storage_errors():
            folders = [path for path in self._folder.iterdir() if path.is_dir()]
            emptied = [_remove_empty(path) for path in folders]
            if not all(emptied):
                return False
            self.unmark()
            (self._folder / _LOCK).unlink()
            return _remove_empty(self._folder)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Exclude every other holder of this lock, in this process and others.

        Hold it from `Incoming.keep` to the commit of the row, and from the deletion of a row to `delete`:
        then no bytes are removed that a new row needs.
        """
        with self._locked():
            yield

    def _locked(self) -> BinaryIO:
        """Return the locked file; closing it releases the lock."""
        path = self._folder / _LOCK
        while True:
            with storage_errors():
                if not self._folder.exists():
                    self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                    _sync_folder(self._folder.parent)
                try:
                    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | _NO_LINK, 0o600)
                except FileNotFoundError:
                    continue  # `remove` has just removed the folder
                file = os.fdopen(descriptor, "r+b", buffering=0)
                fcntl.flock(file, fcntl.LOCK_EX)
                if _is_same_file(path, descriptor):
                    return file
                file.close()  # `remove` has removed the lock while this call waited for it

    def _path(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise ValueError("not a SHA-256 in lower-case hex")
        return self._folder / sha256[:2] / sha256


def _copy(source: Readable, target: BinaryIO) -> StoredFile:
    digest, size_bytes = hashlib.sha256(), 0
    while block := source.read(BLOCK_BYTES):
        digest.update(block)
        size_bytes += len(block)
        with storage_errors():
            target.write(block)
    with storage_errors():
        target.flush()
        os.fsync(target.fileno())
    return StoredFile(digest.hexdigest(), size_bytes)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _is_same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove_empty(folder: Path) -> bool:
    """Remove a folder if it is empty; return whether it was."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            return False
        raise
    return True


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | _NO_LINK)
    except FileNotFoundError:
        return True  # its writer has just ended
    with os.fdopen(descriptor, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _sync_folder(folder: Path) -> None:
    for path in (folder, folder.parent):  # the parent may have a new entry too
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def storage_errors() -> Iterator[None]:
    """Map the system's refusals to StorageUnavailable."""
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(
            f"The files in DATA_DIR cannot be read or written ({error.strerror}). The operator has to free "
            "space or make the folder writable."
        ) from error
