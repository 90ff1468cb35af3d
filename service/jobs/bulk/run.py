"""A bulk scan: reads a source, scans its documents on many workers, writes a sink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ray.exceptions import RayError

from service.errors import RiskscanError
from service.jobs.bulk.cluster import check_model, connect
from service.jobs.bulk.dataset import scanned_tables
from service.jobs.bulk.reader import BlockReader
from service.jobs.bulk.scanner import OpenScanner, WorkerOptions
from service.jobs.bulk.sink import Counts, Sink
from service.jobs.bulk.source import Source
from service.jobs.bulk.tables import SHARE

Report = Callable[[Counts, float], None]
"""Receives the counts, and the share of the source that was read, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class BulkScan:
    """What to scan, where the results go, and how each worker scans."""

    source: Source
    sink: Sink
    worker: WorkerOptions
    open_scanner: OpenScanner
    n_workers: int | None = None
    limit: int | None = None
    ray_address: str | None = None

    def run(self, report: Report) -> Counts:
        """Scan what the sink does not have yet; return the counts.

        Raises:
            RiskscanError: the run cannot continue; the message names the remedy.
            OSError: the sink cannot be written.
        """
        uses_gpu = self.worker.device != "cpu"
        with self.sink as sink:
            # Only an open sink knows which of its documents are those of earlier runs.
            reader = BlockReader(self.source, sink.written, self.limit)
            try:
                with connect(
                    self.ray_address, n_workers=self.n_workers, uses_gpu=uses_gpu
                ) as cluster:
                    if cluster.n_nodes > 1:
                        check_model(self.worker.model_folder)
                    share = 0.0
                    for table in scanned_tables(
                        reader, self.open_scanner, cluster, uses_gpu=uses_gpu
                    ):
                        if len(table):
                            sink.write(table)
                            share = max(share, *table[SHARE].to_pylist())
                            report(sink.counts, share)
            except RayError as error:
                raise _failed(error) from error
        return sink.counts


def _failed(error: RayError) -> RiskscanError:
    notes = " ".join(getattr(error, "__notes__", ()))
    return RiskscanError(
        f"Ray failed ({type(error).__name__}). {notes} Run the same command again to continue.".replace(
            "  ", " "
        )
    )
