"""Hashes of files, remembered until a file changes."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

_Version = tuple[int, int, int, int, int]
_SETTLED_NS = 1_000_000_000
"""The change time has steps of some milliseconds: a file that changed just now may change again unnoticed."""


def sha256_of(path: Path) -> str:
    """Return the sha256 (hex) of a file's content; 25 MB take 20 ms of a core."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class FileHashes:
    """Reads a file again only if it was written or replaced since. Threads may share it."""

    def __init__(self) -> None:
        self._hashes: dict[Path, tuple[_Version, str]] = {}

    def sha256_of(self, path: Path) -> str:
        """Return the sha256 (hex) of a file's content.

        Raises:
            OSError: the file cannot be read.
        """
        status = path.stat()
        # No program can choose the change time, st_ctime_ns.
        version = (
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )
        known, sha256 = self._hashes.get(path, (None, ""))
        if version != known:
            sha256 = sha256_of(path)
            if time.time_ns() - status.st_ctime_ns > _SETTLED_NS:
                self._hashes[path] = version, sha256
        return sha256
