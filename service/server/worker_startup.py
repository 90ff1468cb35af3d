"""Start-up of a worker: a process without HTTP but for /health and /metrics on OPS_PORT."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from service.config.settings import Config
from service.domain.database_upgrade import upgrade_database
from service.domain.services import Services, build_services
from service.errors import DatabaseUnavailable
from service.jobs.jobs import Jobs
from service.observability import logging as logs
from service.server.sidecar import open_sidecar

_RETRY_S = 2.0
_log = logging.getLogger(__name__)


def run_worker(config: Config) -> None:
    """Run items of batches until SIGTERM or SIGINT; running ones then go back to the queue.

    An unreachable database or broker delays the start.

    Raises:
        ConfigError, ArtifactError: a part cannot open; the message names the remedy.
    """
    logs.configure(config.log_level)
    with build_services(config) as services:
        services.open()
        stopped = _stop_on_signals(services)
        with _sidecar(config, services):
            if not _upgrade(config, stopped):
                return
            services.start(keeps_house=False)
            services.batch_counting.start()
            with Jobs(services, is_worker=True) as jobs:
                _log.info("the worker is ready")
                jobs.serve(stopped)


def _stop_on_signals(services: Services) -> threading.Event:
    """Return an event that SIGTERM and SIGINT set; from then on no item is claimed."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        services.draining.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return services.draining


def _upgrade(config: Config, stopped: threading.Event) -> bool:
    """Wait until the schema is current; return False if the process is to stop first."""
    while not stopped.is_set():
        try:
            upgrade_database(config)
        except DatabaseUnavailable as error:
            _log.warning("the worker waits: %s", error.message)
            stopped.wait(_RETRY_S)
        else:
            return True
    return False


@contextlib.contextmanager
def _sidecar(config: Config, services: Services) -> Iterator[None]:
    if config.ops_port is None:
        yield
        return
    sidecar = open_sidecar(config.host, config.ops_port, services.probes)
    sidecar.start()
    try:
        yield
    finally:
        sidecar.close()
