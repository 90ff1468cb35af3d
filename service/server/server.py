"""The HTTP server of one process: a listener, the sidecar, and a graceful drain on SIGTERM."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from apiflask import APIFlask

from service.api.http.limits import (
    body_too_large,
    max_batch_body_bytes,
    max_body_bytes,
    max_upload_body_bytes,
)
from service.config.settings import Config
from service.domain.files.files import FOLDER
from service.domain.services import Services
from service.errors import ShuttingDown
from service.server.body_spool import SpoolPolicy
from service.server.connection_policy import ConnectionPolicy
from service.server.forwarded import TrustedProxies
from service.server.listener import Listener, open_listener
from service.server.memory_budget import MemoryBudget
from service.server.shared_accept import SharedPort
from service.server.sidecar import open_sidecar
from service.server.snapshot_loop import Reporter
from service.server.upload_authorization import upload_authorizer

_POLL_S = 0.02
_QUIET_S = 0.5
"""A draining process ends when no connection was used for so long. A proxy may just be sending a request over
one that it kept alive; the response to it closes the connection."""
_LAST_RESPONSES_S = 0.3
_UPLOADS_AT_ONCE = 4
"""Uploads of the greatest size whose bytes may be on disk together; more if they are smaller."""
_log = logging.getLogger(__name__)


def open_server(app: APIFlask, services: Services) -> Server:
    """Listen on PORT, and on OPS_PORT if it is set; connections wait until the server runs.

    Raises:
        ConfigError: an address is taken or belongs to another machine, or too few files may be open.
    """
    config = services.config
    server = open_shared_server(app, services)
    if config.ops_port is None:
        return server
    try:
        sidecar = open_sidecar(config.host, config.ops_port, services.probes)
    except BaseException:
        server.close()
        raise
    server.report_to(sidecar, ops_port=sidecar.port)
    return server


def open_shared_server(
    app: APIFlask, services: Services, *, shared: SharedPort | None = None
) -> Server:
    """Listen on `shared`, which other processes serve too, or else on PORT.

    Raises:
        ConfigError: as `open_server`.
    """
    listener = open_listener(app, services.config, _connection_policy(services), shared=shared)
    services.metrics.waiting.set_function(listener.n_queued)
    drain_timeout_s = services.config.drain_timeout_s
    return Server(listener, draining=services.draining, drain_timeout_s=drain_timeout_s)


class Server:
    """Serves until SIGTERM or SIGINT, then finishes the requests in progress."""

    def __init__(
        self,
        listener: Listener,
        *,
        draining: threading.Event,
        drain_timeout_s: float,
    ) -> None:
        """`draining` is set when the drain begins; the listener then refuses new connections."""
        self._listener = listener
        self._reporter: Reporter | None = None
        self._draining = draining
        self._drain_timeout_s = drain_timeout_s
        self._is_drained = False
        self.port = listener.port
        self.ops_port: int | None = None

    def report_to(self, reporter: Reporter, *, ops_port: int | None = None) -> None:
        """Report to another process while serving, such as the sidecar that listens on `ops_port`."""
        self._reporter = reporter
        self.ops_port = ops_port

    def close(self) -> None:
        """Close the port of a server that does not serve yet."""
        self._listener.close()

    def run(self) -> None:
        """Serve until the drain is over; must run in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self.serve()

    def serve(self) -> None:
        """Serve without installing signal handlers, for threads other than the main one."""
        if self._reporter is not None:
            self._reporter.start()
        try:
            self._listener.run()
        finally:
            self._listener.close()
            if self._reporter is not None:
                self._reporter.close()

    def stop(self) -> None:
        """End `serve` in another thread at once; requests in progress get no response."""
        self._listener.stop()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._is_drained:
            raise SystemExit(0)  # sent by _drain; waitress leaves its loop on it
        if self._draining.is_set():
            return
        self._draining.set()
        self._listener.wake()
        if self._reporter is not None:
            self._reporter.send_now()
        _log.info("draining after signal %d", number)
        threading.Thread(target=self._drain, args=(threading.main_thread().ident,)).start()

    def _drain(self, main_thread: int) -> None:
        """Wait at most DRAIN_TIMEOUT_S for the requests in progress, then end the main thread's loop."""
        _wait_while(lambda: self._listener.is_busy(quiet_s=_QUIET_S), self._drain_timeout_s)
        self._abort_requests()
        self._is_drained = True
        signal.pthread_kill(main_thread, signal.SIGTERM)

    def _abort_requests(self) -> None:
        """Answer the unfinished requests with 503, and give the loop a moment to send that."""
        n_aborted = self._listener.abort_requests(
            ShuttingDown("This process ended before the request was finished; send it again.")
        )
        if n_aborted:
            _log.warning("requests aborted after DRAIN_TIMEOUT_S: %d", n_aborted)
            _wait_while(self._listener.has_unsent_responses, _LAST_RESPONSES_S)


def _connection_policy(services: Services) -> ConnectionPolicy:
    config, too_large_detail = services.config, body_too_large(services.config)
    return ConnectionPolicy(
        too_large_detail=too_large_detail,
        on_rejected=services.metrics.count_problem,
        authorize_upload=upload_authorizer(
            services.tokens,
            services.key_maker,
            is_scan_open=config.ai_service_open,
            too_large_detail=too_large_detail,
        ),
        body_memory=MemoryBudget(config.buffer_memory_bytes),
        response_memory=MemoryBudget(config.buffer_memory_bytes),
        max_body_bytes=max_body_bytes(config),
        spool=_spool_policy(config),
        cors_origins=config.cors_origins,
        proxies=TrustedProxies(config.trusted_proxy),
        is_draining=services.draining.is_set,
        tracing=services.tracing,
    )


def _spool_policy(config: Config) -> SpoolPolicy:
    max_bytes = max(max_upload_body_bytes(config), max_batch_body_bytes(config))
    return SpoolPolicy(
        config.data_dir / FOLDER,
        max_body_bytes=max_bytes,
        budget=MemoryBudget(_UPLOADS_AT_ONCE * max_bytes // config.web_processes),
    )


def _wait_while(condition: Callable[[], bool], timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s and condition():
        time.sleep(_POLL_S)
