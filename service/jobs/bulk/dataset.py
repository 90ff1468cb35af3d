"""The run as a Ray Data pipeline: one reader here, a pool of workers with a model each, one writer here."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
import ray.data
from ray.data import ActorPoolStrategy, DataContext, Dataset, Datasource, ReadTask
from ray.data.block import BlockMetadata
from ray.exceptions import ActorDiedError, RayError

from service.errors import RiskscanError
from service.jobs.bulk.cluster import Cluster
from service.jobs.bulk.reader import BLOCK_BYTES, BlockReader
from service.jobs.bulk.scanner import BlockScanner, OpenScanner
from service.jobs.bulk.tables import documents_table
from service.observability import logging as service_logging

_MAX_RETRIES = 3
"""How often a block is scanned again after its worker died. Without a limit, a document that kills its worker
would occupy the cluster for ever."""


def scanned_tables(
    reader: BlockReader, open_scanner: OpenScanner, cluster: Cluster, *, uses_gpu: bool
) -> Iterator[pa.Table]:
    """Yield the tables of RESULTS as they are scanned, in any order.

    The reader runs on this machine, so that the nodes of a cluster need not see the source. It waits
    while workers and writer are behind: at most some blocks for each worker are in memory.

    Raises:
        RiskscanError: a worker or the reader cannot continue.
        RayError: Ray failed.
    """
    _configure()
    documents = ray.data.read_datasource(
        _Documents(reader),
        override_num_blocks=1,
        num_cpus=0,  # else it would take the core of a worker, and wait for one
        resources={cluster.driver_resource: 0.001},
    )
    results = _without_warning(
        documents.map_batches,
        _Worker,
        fn_constructor_args=(open_scanner,),
        compute=ActorPoolStrategy(size=cluster.n_workers),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=1,
        num_gpus=1 if uses_gpu else 0,
        ray_remote_args_fn=lambda: {"max_task_retries": _MAX_RETRIES},
    )
    try:
        yield from results.iter_batches(batch_size=None, batch_format="pyarrow")
    except RayError as error:
        if cause := _cause(error):
            raise cause from error
        raise


class _Worker:
    """An actor of the pool: opens its scanner, with the model, at its first block."""

    def __init__(self, open_scanner: OpenScanner) -> None:
        self._open_scanner = open_scanner
        self._scanner: BlockScanner | None = None

    def __call__(self, documents: pa.Table) -> pa.Table:
        # Opened here: Ray passes an error of a task on, but not one of a constructor.
        if self._scanner is None:
            service_logging.configure("WARNING")
            self._scanner = self._open_scanner()
        return self._scanner.scan_block(documents)


class _Documents(Datasource):  # type: ignore[misc]  # mypy skips Ray
    """Ray's view of a BlockReader: one task that yields the blocks."""

    def __init__(self, reader: BlockReader) -> None:
        super().__init__()
        self._reader = reader

    def get_name(self) -> str:
        """Return the name in Ray's own logs."""
        return "Documents"

    def estimate_inmemory_data_size(self) -> int | None:
        """Return None: nobody knows before reading."""
        return None

    def get_read_tasks(self, *_: Any, **__: Any) -> list[ReadTask]:  # noqa: ANN401 - Ray's signature
        """Return the one task that reads."""
        reader = self._reader

        def read() -> Iterable[pa.Table]:
            return (documents_table(block) for block in reader.blocks())

        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(read, unknown)]


def _without_warning(function: Callable[..., Dataset], *args: Any, **kwargs: Any) -> Dataset:  # noqa: ANN401 - passed on
    """Call a function of Ray: only deprecated options bound the retries, and Ray has no new ones yet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return function(*args, **kwargs)


def _configure() -> None:
    """Set what Ray Data takes from a context, and keep its own progress off the terminal."""
    context = DataContext.get_current()
    context.target_max_block_size = BLOCK_BYTES
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_consecutive_actor_init_deaths = _MAX_RETRIES
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)


def _cause(error: RayError) -> RiskscanError | None:
    """Return the error of ours that Ray wrapped, or one for workers that died; None if Ray itself failed."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, RiskscanError):
            return seen
        seen = getattr(seen, "cause", None) or seen.__cause__
    if isinstance(error, ActorDiedError):
        return RiskscanError(
            f"Workers died {_MAX_RETRIES + 1} times on the same documents. If the system ended them for want "
            "of memory, use fewer with --workers, and run the same command again."
        )
    return None
