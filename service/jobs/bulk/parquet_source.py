"""SOURCE is Parquet: a column of ids, and one of texts or of the bytes of files. Imports no Ray."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from service.errors import InvalidRequest, RiskscanError
from service.jobs.bulk.column_values import column_document
from service.jobs.bulk.documents import SourceDocument

PARQUET_ENDINGS = (".parquet",)
_ROWS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """The rows of Parquet files, in order."""

    files: tuple[Path, ...]
    id_column: str
    text_column: str
    max_bytes: int

    def check(self) -> None:
        """Raise InvalidRequest if a file cannot be read, or lacks one of the two columns."""
        for path in self.files:
            try:
                names = pq.read_schema(path).names
            except (OSError, pa.ArrowException) as error:
                raise InvalidRequest(
                    f"SOURCE {path} cannot be read as Parquet: {_first_line(error)}"
                ) from error
            for column in (self.id_column, self.text_column):
                if column not in names:
                    raise InvalidRequest(
                        f"SOURCE {path} has no column {column}; it has: {', '.join(names)}. "
                        "Name the columns with --id-column and --text-column."
                    )

    def documents(self) -> Iterator[SourceDocument]:
        """Yield the documents; `share` counts rows.

        Raises:
            RiskscanError: a file is damaged.
        """
        total = sum(pq.read_metadata(path).num_rows for path in self.files) or 1
        columns, n = [self.id_column, self.text_column], 0
        for path in self.files:
            try:
                with pq.ParquetFile(path) as file:
                    for batch in file.iter_batches(_ROWS_AT_ONCE, columns=columns):
                        for row in batch.select(columns).to_pylist():
                            n += 1
                            yield column_document(
                                *row.values(),
                                place=f"{path.name}:{n}",
                                max_bytes=self.max_bytes,
                                share=n / total,
                            )
            except (OSError, pa.ArrowException) as error:
                raise RiskscanError(
                    f"{path} cannot be read to its end: {_first_line(error)}"
                ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
