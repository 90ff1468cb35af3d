"""Where the results of a bulk scan go, and the file that lists the bad documents. Imports no Ray."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import pyarrow as pa


@dataclass(slots=True)
class Counts:
    """Documents of this run, those of them with an error, and the same of earlier runs into the sink."""

    n_documents: int = 0
    n_bad: int = 0
    n_earlier: int = 0
    n_bad_earlier: int = 0


class Sink(Protocol):
    """Receives tables of RESULTS, in any order. The end of its block stores what it has received."""

    counts: Counts

    @property
    def written(self) -> Callable[[], Iterable[bytes]]:
        """A function for another process: returns the digests of the documents that earlier runs wrote.

        It is taken within the sink's block, and returns the same in all of it, whatever was written
        meanwhile. It returns none if the workers find out by themselves.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def write(self, table: pa.Table) -> None:
        """Take a table of RESULTS."""


def errors_in(table: pa.Table) -> list[dict[str, Any]]:
    """Return id, code and message of each row of RESULTS with an error."""
    bad = table.filter(table["error"].is_valid()).select(["id", "error"]).to_pylist()
    return [{"id": row["id"], **row["error"]} for row in bad]


def append_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows to a file of JSON lines, and wait until they are on the disk."""
    if not rows:
        return
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        flush(file.fileno(), file.flush)


def flush(descriptor: int, write_buffer: Callable[[], None]) -> None:
    """Wait until what was written to a file is on the disk."""
    write_buffer()
    os.fsync(descriptor)
