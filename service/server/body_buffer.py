"""A request body in memory that shrinks while the application reads it."""

from __future__ import annotations

import io
from typing import Any

_FREED_AT_BYTES = 1 << 20


class BodyBuffer(io.RawIOBase):
    """Buffer that waitress's receiver fills and the application reads once, as a file.

    It frees the bytes that were read, since parsing a form copies them out of the body.
    """

    def __init__(self) -> None:
        super().__init__()
        self._data = bytearray()
        self._n_read = 0

    def __len__(self) -> int:
        return len(self._data) - self._n_read

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._data += data

    def getfile(self) -> BodyBuffer:
        """Return the file that the application reads: this buffer."""
        return self

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Move the next bytes into `buffer`; return how many."""
        n = min(len(buffer), len(self))
        with memoryview(self._data) as data:
            buffer[:n] = data[self._n_read : self._n_read + n]
        self._n_read += n
        if self._n_read >= _FREED_AT_BYTES:
            del self._data[: self._n_read]
            self._n_read = 0
        return n

    def close(self) -> None:
        """Free the memory."""
        self._data = bytearray()
        super().close()
