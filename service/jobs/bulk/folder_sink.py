"""SINK is a folder of part files, Parquet or JSON lines, each written whole or not at all. Imports no Ray.

Names that begin with _ are not parts: readers of such folders skip them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq

from service.errors import InvalidRequest
from service.jobs.bulk.documents import digest
from service.jobs.bulk.sink import Counts, append_lines, errors_in, flush
from service.jobs.bulk.tables import SHARE

SinkFormat = Literal["parquet", "jsonl"]
ERRORS_FILE = "_errors.jsonl"
PART_ROWS, PART_BYTES = 50_000, 64 * 1024 * 1024
PART_S = 30.0
"""A part file is complete after so many rows, bytes in memory or seconds: a kill loses no more than that."""
_JOB_FILE, _LOCK_FILE, _TEMPORARY = "_bulk.json", "_lock", "_part.tmp"


class FolderSink:
    """Writes rows to part files. Only one run at a time may write into a folder.

    A kill at any moment leaves complete part files: a part is written under a temporary name, and renamed
    once it is on the disk. The parts are what counts: a run begins by listing their bad documents anew.
    """

    def __init__(
        self, folder: Path, sink_format: SinkFormat, job: dict[str, str], *, part_s: float = PART_S
    ) -> None:
        """`job` says what the rows depend on, such as the model: a later run into the folder must agree."""
        self.counts = Counts()
        self._folder, self._format = folder, sink_format
        self._job = {"format": sink_format, **job}
        self._part_s = part_s
        self._waiting: list[pa.Table] = []
        self._waiting_since_s = 0.0
        self._first_own = self._next = 0
        self._lock: IO[bytes] | None = None

    @property
    def written(self) -> Callable[[], Iterable[bytes]]:
        """A function that returns the digest of each document in the part files of earlier runs."""
        return partial(written_digests, self._folder, self._format, before=self._first_own)

    def __enter__(self) -> Self:
        """Open the folder; continue from the parts in it.

        Raises:
            InvalidRequest: it has other files, rows of another job, or another run that writes now.
            OSError: it cannot be written.
        """
        if not self._folder.exists():
            self._folder.mkdir(parents=True, mode=0o700)
        self._lock = self._locked()
        try:
            self._check_job()
            self._continue()
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write the last part, also if the run failed or was interrupted: its rows are complete."""
        try:
            with contextlib.suppress(*((OSError,) if error else ())):
                self._write_part()
        finally:
            if self._lock is not None:
                self._lock.close()

    def write(self, table: pa.Table) -> None:
        """Take a table of RESULTS; write a part file if it is time."""
        if not self._waiting:
            self._waiting_since_s = time.monotonic()
        self._waiting.append(table)
        self.counts.n_documents += len(table)
        is_late = time.monotonic() - self._waiting_since_s >= self._part_s
        n_rows = sum(len(t) for t in self._waiting)
        if is_late or n_rows >= PART_ROWS or sum(t.nbytes for t in self._waiting) >= PART_BYTES:
            self._write_part()

    def _check_job(self) -> None:
        """Compare the job with the one of the folder; a new folder becomes this job's."""
        path = self._folder / _JOB_FILE
        try:
            earlier = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            files = {file.name for file in self._folder.iterdir()}
            if files - {_LOCK_FILE, _TEMPORARY}:  # a kill may have left the second of the two
                (self._folder / _LOCK_FILE).unlink()
                raise InvalidRequest(
                    f"SINK {self._folder} has other files. Name a new or an empty folder."
                ) from None
            self._replace(path, json.dumps(self._job, indent=1).encode())
            return
        except ValueError:
            earlier = {}
        if earlier != self._job:
            names = sorted({*earlier, *self._job})
            different = [n for n in names if earlier.get(n) != self._job.get(n)]
            raise InvalidRequest(
                f"SINK {self._folder} has results with another "
                + ", ".join(f"{n} ({earlier.get(n)}, not {self._job.get(n)})" for n in different)
                + ". Name another folder, or run with the same options."
            )

    def _locked(self) -> IO[bytes]:
        lock = (self._folder / _LOCK_FILE).open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise InvalidRequest(
                f"Another run writes into {self._folder}. Wait for its end, or stop it."
            ) from None
        return lock

    def _continue(self) -> None:
        """Count the rows of the parts, and list their bad documents."""
        (self._folder / _TEMPORARY).unlink(missing_ok=True)
        errors = self._folder / ERRORS_FILE
        self._replace(errors, b"")
        for part in part_files(self._folder, self._format):
            self._next = 1 + _number(part)
            n_rows, bad = _summary(part)
            append_lines(errors, bad)
            self.counts.n_earlier += n_rows
            self.counts.n_bad_earlier += len(bad)
        self._first_own = self._next

    def _write_part(self) -> None:
        if not self._waiting:
            return
        table = pa.concat_tables(self._waiting).drop_columns([SHARE])
        temporary = self._folder / _TEMPORARY
        with temporary.open("wb") as file:
            if self._format == "parquet":
                pq.write_table(table, file, compression="zstd")
            else:
                rows = (json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist())
                file.writelines(row.encode() for row in rows)
            flush(file.fileno(), file.flush)
        temporary.replace(self._folder / f"part-{self._next:06}.{self._format}")
        self._waiting.clear()
        self._next += 1
        _sync_folder(self._folder)
        errors = errors_in(table)
        self.counts.n_bad += len(errors)
        append_lines(self._folder / ERRORS_FILE, errors)

    def _replace(self, path: Path, data: bytes) -> None:
        temporary = self._folder / _TEMPORARY
        with temporary.open("wb") as file:
            file.write(data)
            flush(file.fileno(), file.flush)
        temporary.replace(path)
        _sync_folder(self._folder)


def part_files(folder: Path, sink_format: SinkFormat) -> list[Path]:
    """Return the complete part files of a folder, in the order in which they were written."""
    return sorted(folder.glob(f"part-*.{sink_format}"), key=_number)


def written_digests(folder: Path, sink_format: SinkFormat, *, before: int) -> Iterator[bytes]:
    """Yield the digest of each document in the part files of a folder with numbers below `before`."""
    earlier = (part for part in part_files(folder, sink_format) if _number(part) < before)
    for part in earlier:
        for row in _identities(part):
            yield digest(row["id"], row["sha256"])


def _identities(part: Path) -> Iterable[dict[str, Any]]:
    if part.suffix == ".jsonl":
        yield from _lines(part)
        return
    with pq.ParquetFile(part) as file:
        for batch in file.iter_batches(columns=["id", "sha256"]):
            yield from batch.to_pylist()


def _summary(part: Path) -> tuple[int, list[dict[str, Any]]]:
    """Return how many rows a part has, and id, code and message of those with an error."""
    if part.suffix == ".jsonl":
        n_rows, bad = 0, []
        for row in _lines(part):
            n_rows += 1
            bad += [{"id": row["id"], **row["error"]}] if row["error"] else []
        return n_rows, bad
    table = pq.read_table(part, columns=["id", "error"])
    return len(table), errors_in(table)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _number(part: Path) -> int:
    return int(part.stem.removeprefix("part-"))


def _sync_folder(folder: Path) -> None:
    """Wait until the names of the files in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
