"""Presents a range of a file as a file of its own, for responses to Range requests."""

from __future__ import annotations

import io
import os
from typing import Any, BinaryIO


class FileRange(io.RawIOBase):
    """The bytes of `file` from `start` to `end` (exclusive); positions count from `start`. Closes `file`."""

    def __init__(self, file: BinaryIO, start: int = 0, end: int | None = None) -> None:
        super().__init__()
        size = os.fstat(file.fileno()).st_size
        self._file = file
        self._start = min(start, size)
        self._size = max(0, (size if end is None else min(end, size)) - self._start)
        self._position = 0

    def __len__(self) -> int:
        return self._size

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Read the next bytes into `buffer`; return how many."""
        n = max(0, min(len(buffer), self._size - self._position))
        block = os.pread(self._file.fileno(), n, self._start + self._position)
        buffer[: len(block)] = block
        self._position += len(block)
        return len(block)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a position in the range, and return it."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        """Return the position in the range."""
        return self._position

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
