"""Scans the documents of a block: what one worker does, with a model of its own. Imports no Ray."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from service.config.settings import Config
from service.errors import (
    DatabaseUnavailable,
    Overloaded,
    RiskscanError,
    StartupError,
    StorageUnavailable,
    Unauthenticated,
)
from service.jobs.bulk.documents import Problem, SourceDocument
from service.jobs.bulk.tables import bad_row, documents_of, results_table, scanned_row
from service.nlp.analyzers.factory import open_model
from service.nlp.analyzers.pool import AnalyzerPool
from service.nlp.artifacts.operating_points import Sensitivity
from service.nlp.deadline import Deadline
from service.nlp.pipeline import ScanPipeline, Submission

ENDS_THE_RUN = (
    DatabaseUnavailable,
    StorageUnavailable,
    Overloaded,
    Unauthenticated,
    StartupError,
)
"""Errors for which the document is not at fault."""
_GPU_THREADS = 16
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What each worker needs: settings, the model's folder, the device, and the options of each scan."""

    config: Config
    model_folder: Path
    device: str = "cpu"
    sensitivity: Sensitivity = "balanced"
    timeout_s: float = 3600

    @property
    def n_threads(self) -> int:
        """Documents that a worker scans at a time: one on a core; on a GPU enough to fill its batches."""
        return 1 if self.device == "cpu" else _GPU_THREADS


class ScansDocument(Protocol):
    """Scans one document; returns its row of RESULTS."""

    def __call__(self, document: SourceDocument, /) -> dict[str, Any]: ...


class BlockScanner:
    """Scans blocks with a function that may raise the errors of ScanPipeline.scan."""

    def __init__(
        self, scan: ScansDocument, *, n_threads: int = 1, close: Callable[[], None] | None = None
    ) -> None:
        """`close` closes what `scan` uses."""
        self._scan = scan
        self._close = close
        self._threads = ThreadPoolExecutor(n_threads) if n_threads > 1 else None

    def scan_block(self, table: pa.Table) -> pa.Table:
        """Return the rows of RESULTS for a table of DOCUMENTS, in the same order.

        Raises:
            RiskscanError: one of ENDS_THE_RUN; any other becomes the error of its document.
        """
        return results_table(self.rows(documents_of(table)))

    def rows(self, documents: Sequence[SourceDocument]) -> list[dict[str, Any]]:
        """Return the row of each document; raises as `scan_block` does."""
        map_ = map if self._threads is None else self._threads.map
        return list(map_(self._row, documents))

    def close(self) -> None:
        """Close the model, and the database if the scanner has one."""
        if self._threads is not None:
            self._threads.shutdown()
        if self._close is not None:
            self._close()

    def _row(self, document: SourceDocument) -> dict[str, Any]:
        if document.problem:
            return bad_row(document, document.problem)
        try:
            return self._scan(document)
        except ENDS_THE_RUN:
            raise
        except RiskscanError as error:
            return bad_row(document, Problem.of(error))
        except Exception as error:  # noqa: BLE001 - the edge of a task: one document must not end millions
            _log.error("a document failed", exc_info=error)
            return bad_row(document, _unexpected(error))


def open_scanner(options: WorkerOptions) -> BlockScanner:
    """Load the model, and return a scanner whose rows have the findings.

    Raises:
        ArtifactError: the model's folder is missing or altered.
    """
    analyzers = AnalyzerPool(open_model(options.config, options.model_folder, n_threads=1))
    pipeline = ScanPipeline(options.config, analyzers)

    def scan(document: SourceDocument) -> dict[str, Any]:
        deadline = deadline_of(options)
        result = pipeline.scan(submission_of(document, options), deadline=deadline)
        return scanned_row(document, result)

    return BlockScanner(scan, n_threads=options.n_threads, close=pipeline.close)


def submission_of(document: SourceDocument, options: WorkerOptions) -> Submission:
    """Return the document as the scan pipeline takes it."""
    sensitivity = options.sensitivity
    if document.is_text:
        text = document.content.decode("utf-8", "surrogatepass")
        return Submission(text=text, filename=document.name, sensitivity=sensitivity)
    return Submission(data=document.content, filename=document.name, sensitivity=sensitivity)


def deadline_of(options: WorkerOptions) -> Deadline:
    """Return the deadline of a scan that begins now."""
    return Deadline.after(options.timeout_s, remedy="raise --timeout")


def _unexpected(error: Exception) -> Problem:
    message = f"The scan failed unexpectedly ({type(error).__name__}). Please report this document."
    return Problem(RiskscanError.code, message)


OpenScanner = Callable[[], BlockScanner]
"""Opens the scanner of a worker, in the worker."""
