"""SINK is the service's database: the workers store each document, so that only counts come here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from service.jobs.bulk.sink import Counts, append_lines, errors_in


class DatabaseSink:
    """Counts the documents, and lists the bad ones of this run in a file, which it begins anew."""

    def __init__(self, errors: Path) -> None:
        self.counts = Counts()
        self._errors = errors

    @property
    def written(self) -> Callable[[], Iterable[bytes]]:
        """A function that returns no digests: the workers look each document up."""
        return tuple

    def __enter__(self) -> Self:
        self._errors.write_text("", encoding="utf-8")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Do nothing: all is stored."""

    def write(self, table: pa.Table) -> None:
        """Count the rows of a table of RESULTS."""
        errors = errors_in(table)
        append_lines(self._errors, errors)
        self.counts.n_documents += len(table)
        self.counts.n_bad += len(errors)
