"""The HTTP server: waitress with our connections and admission, and a graceful drain on SIGTERM."""

from __future__ import annotations

import logging
import signal
import threading
import time
from types import FrameType
from typing import Any

from apiflask import APIFlask
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server

from service.api.http.buffer_memory import Budget
from service.api.http.limits import MAX_HEADER_BYTES, body_too_large, max_body_bytes
from service.config.settings import Config
from service.domain.services import Services
from service.errors import ConfigError, ShuttingDown
from service.server.admission import Dispatcher
from service.server.connections import CoalescingTrigger, Rules, channel_class
from service.server.file_limits import connections_that_fit
from service.server.sidecar import Sidecar
from service.server.upload_gate import upload_gate

_LOOP_TIMEOUT_S = 1
_POLL_S = 0.02
_LAST_ANSWERS_S = 0.3
# The service closes an idle connection after this. A proxy in front has to close its own sooner.
IDLE_TIMEOUT_S = 120
# Bodies and answers never go to temporary files, whose disk may be full. No thread waits for a client that
# does not read. buffer_memory.py limits the memory instead.
_NEVER = 2**60
_log = logging.getLogger(__name__)


class Server:
    """Serves one application until SIGTERM or SIGINT, then finishes the requests in flight.

    Raises:
        ConfigError: an address is taken or belongs to another machine, or the limit of open files is too low.
    """

    def __init__(self, app: APIFlask, services: Services) -> None:
        self._services, config = services, services.config
        self._drain_timeout_s = config.drain_timeout_s
        self._sockets: dict[int, Any] = {}
        self._dispatcher = Dispatcher(n_threads=config.threads)
        self._server = self._listen(app, config)
        self.port = int(self._listeners()[0].effective_port)
        metrics = self._services.metrics
        metrics.waiting.set_function(lambda: len(self._dispatcher.queue))
        channels = channel_class(_rules(self._services))
        for listener in self._listeners():
            listener.channel_class = channels
            listener.trigger.close()
            listener.trigger = CoalescingTrigger(self._sockets)
        self._sidecar = self._open_sidecar(config)
        self._stopping = False

    @property
    def ops_port(self) -> int | None:
        """The port of the sidecar; None without OPS_PORT."""
        return None if self._sidecar is None else self._sidecar.port

    def _listen(self, app: APIFlask, config: Config) -> Any:  # noqa: ANN401 - waitress is untyped
        try:
            return create_server(
                app,
                map=self._sockets,
                host=config.host,
                port=config.port,
                _dispatcher=self._dispatcher,  # no public way in waitress 3.0.2
                connection_limit=connections_that_fit(
                    config.connection_limit, threads=config.threads
                ),
                channel_timeout=IDLE_TIMEOUT_S,
                asyncore_use_poll=True,  # select() ends the process above about 1,000 sockets
                asyncore_loop_timeout=_LOOP_TIMEOUT_S,
                max_request_header_size=MAX_HEADER_BYTES,
                max_request_body_size=max_body_bytes(config),
                inbuf_overflow=_NEVER,
                outbuf_overflow=_NEVER,
                outbuf_high_watermark=_NEVER,
                clear_untrusted_proxy_headers=True,
                ident=None,
                **_proxy(config),
            )
        except OSError as error:
            wasyncore.close_all(self._sockets, ignore_all=True)
            raise _cannot_listen(config.host, config.port, error) from error

    def _open_sidecar(self, config: Config) -> Sidecar | None:
        if config.ops_port is None:
            return None
        try:
            return Sidecar(config.host, config.ops_port, self._services)
        except OSError as error:
            wasyncore.close_all(self._sockets, ignore_all=True)
            raise _cannot_listen(config.host, config.ops_port, error) from error

    def _listeners(self) -> list[BaseWSGIServer]:
        return [s for s in self._sockets.values() if isinstance(s, BaseWSGIServer)]

    def run(self) -> None:
        """Serve until the drain is over; must run in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self.serve()

    def serve(self) -> None:
        """Serve without installing signal handlers, for threads other than the main one."""
        if self._sidecar is not None:
            self._sidecar.start()
        try:
            self._server.run()
        finally:
            wasyncore.close_all(self._sockets, ignore_all=True)
            if self._sidecar is not None:
                self._sidecar.close()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            raise SystemExit(0)  # the drain thread's call; waitress ends its loop on it
        if self._services.draining.is_set():
            return
        self._services.draining.set()
        if self._sidecar is not None:
            self._sidecar.send_now()
        _log.info("draining after signal %d", number)
        threading.Thread(target=self._drain, args=(threading.main_thread().ident,)).start()

    def _drain(self, main_thread: int) -> None:
        deadline_s = time.monotonic() + self._drain_timeout_s
        while self._is_busy() and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
        self._cut_off()
        self._stopping = True
        signal.pthread_kill(main_thread, signal.SIGTERM)

    def _cut_off(self) -> None:
        """Answer the unfinished requests with 503, and give the loop a moment to send that."""
        error = ShuttingDown("This process ended before the request was finished; send it again.")
        n_cut_off = sum(channel.cut_off(error) for channel in self._channels())
        if not n_cut_off:
            return
        _log.warning("requests cut off after DRAIN_TIMEOUT_S: %d", n_cut_off)
        deadline_s = time.monotonic() + _LAST_ANSWERS_S
        while time.monotonic() < deadline_s and any(c.total_outbufs_len for c in self._channels()):
            time.sleep(_POLL_S)

    def _channels(self) -> list[Any]:
        return [c for c in list(self._sockets.values()) if isinstance(c, HTTPChannel)]

    def _is_busy(self) -> bool:
        """Return whether any request is in progress or its answer is still being sent.

        A partly received request does not count; its client has to retry.
        """
        return any(c.requests or c.total_outbufs_len for c in self._channels())


def _rules(services: Services) -> Rules:
    config, too_large = services.config, body_too_large(services.config)
    return Rules(
        too_large=too_large,
        on_refused=services.metrics.refused,
        admit=upload_gate(
            services.tokens, is_scan_open=config.ai_service_open, too_large=too_large
        ),
        bodies=Budget(config.buffer_memory_bytes),
        answers=Budget(config.buffer_memory_bytes),
        origins=config.cors_origins,
    )


def _proxy(config: Config) -> dict[str, Any]:
    if not config.trusted_proxy:
        return {}
    return {
        "trusted_proxy": config.trusted_proxy,
        "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"},
    }


def _cannot_listen(host: str, port: int, error: OSError) -> ConfigError:
    return ConfigError(
        f"The service cannot listen on {host} port {port} ({error.strerror}); "
        "set HOST, PORT or OPS_PORT, or stop the program that listens there."
    )
