"""Files that are built in a temporary folder and then sent."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from xlsxwriter.exceptions import FileCreateError, FileSizeError

from service.domain.report_logs import Chunk
from service.errors import StorageUnavailable, TooLarge

BLOCK_BYTES = 64 * 1024


@contextlib.contextmanager
def storing() -> Iterator[None]:
    """Map the failures of writing such a file.

    Raises:
        StorageUnavailable: the temporary folder is full or cannot be written.
        TooLarge: a workbook would exceed 4 GiB.
    """
    try:
        yield
    except FileSizeError as error:
        raise TooLarge("The workbook would exceed 4 GiB. Select fewer scans, or CSV.") from error
    except (OSError, FileCreateError) as error:
        raise StorageUnavailable(
            "The temporary folder is full or cannot be written; the operator has to free space there."
        ) from error


def file_chunks(path: Path, n_rows: int) -> Iterator[Chunk]:
    """Yield the bytes of a file; the first block counts as all rows."""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield n_rows, block
            n_rows = 0
