"""A request body that goes to the disk as it arrives: for uploads, which can be larger than the memory."""

from __future__ import annotations

import io
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.api.http.limits import RETRY_AFTER_S, SMALL_BODY_BYTES
from service.errors import Overloaded, StorageUnavailable
from service.server.memory_budget import MemoryBudget

_RESERVE_BYTES = 1 << 27
_BUSY = (
    "Too many uploads are in progress, or too many of yours. Send fewer at once, or send this one again in a "
    "few seconds."
)
_FULL = "The disk of DATA_DIR has no room for this upload; the operator has to free space."


@dataclass(frozen=True, slots=True)
class SpoolPolicy:
    """Where uploads in progress are kept, and how many bytes they may have."""

    folder: Path
    max_body_bytes: int
    budget: MemoryBudget
    """The bytes on disk of all uploads in progress."""

    def reserve(self, user_id: str, n_bytes: int) -> None:
        """Reserve bytes for a user; the disk must have room for the body and for the file stored from it.

        Raises:
            StorageUnavailable: the disk is too full.
            Overloaded: uploads in progress take all, or the user's share.
        """
        if _free_bytes(self.folder) < 2 * n_bytes + _RESERVE_BYTES:
            raise StorageUnavailable(_FULL)
        if not self.budget.reserve(user_id, n_bytes):
            raise Overloaded(_BUSY, retry_after_s=RETRY_AFTER_S)


class BodySpool(io.RawIOBase):
    """Buffer that waitress's receiver fills and the application reads once, as a file.

    A body over SMALL_BODY_BYTES goes to a file without a name, which the system removes with the process. The
    receiver runs in the listener's thread: it waits for the disk only while the system's write cache is full.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` holds the file, and is created if needed."""
        super().__init__()
        self._folder = folder
        self._file: Any = io.BytesIO()
        self._is_on_disk = False
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def append(self, data: bytes) -> None:
        """Add bytes at the end.

        Raises:
            StorageUnavailable: the disk is full, or the folder cannot be written.
        """
        try:
            if not self._is_on_disk and self._size + len(data) > SMALL_BODY_BYTES:
                self._move_to_disk()
            self._file.write(data)
        except OSError as error:
            raise StorageUnavailable(
                f"The service cannot store this upload ({error.strerror}); the operator has to free space "
                "in DATA_DIR."
            ) from error
        self._size += len(data)

    def getfile(self) -> BodySpool:
        """Return the file that the application reads, from its beginning."""
        self._file.seek(0)
        return self

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Read the next bytes into `buffer`; return how many."""
        block = self._file.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
        super().close()

    def _move_to_disk(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed in `close`
        self._file.seek(0)
        file.write(self._file.read())
        self._file, self._is_on_disk = file, True


def _free_bytes(folder: Path) -> int:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(existing).free
