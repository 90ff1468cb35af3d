"""The HTTP server: waitress, its own errors as problem+json, and a drain on SIGTERM."""

from __future__ import annotations

import http.client
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterable
from types import FrameType
from typing import TYPE_CHECKING, Any

from apiflask import APIFlask
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ErrorTask

from service import problems, request_id
from service.config import Config
from service.context import EXTENSION, Services
from service.descriptors import connections_that_fit
from service.errors import HTTP_STATUS, ConfigError
from service.limits import MAX_HEADER_BYTES, body_too_large, max_body_bytes

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_LOOP_TIMEOUT_S = 1
# An idle connection ends after this; a proxy in front has to give its own up sooner.
IDLE_TIMEOUT_S = 120
_OPS_THREADS = 2
# waitress counts the connections of both listeners together, and takes nobody in above the limit. So
# many more for health, which is asked for when the other listener is full.
_OPS_CONNECTIONS = 64
_log = logging.getLogger(__name__)


class Server:
    """Serves one application until SIGTERM or SIGINT, then lets the requests in flight finish.

    Raises:
        ConfigError: an address is taken or not this machine's, or too few files may be open.
    """

    def __init__(self, app: APIFlask, config: Config) -> None:
        self._services: Services = app.extensions[EXTENSION]
        self._drain_timeout_s = config.drain_timeout_s
        self._sockets: dict[int, Any] = {}
        limit = connections_that_fit(config.connection_limit, threads=config.threads)
        self._server = self._listen(
            app, config, port=config.port, threads=config.threads, connection_limit=limit
        )
        self.port = int(self._listeners()[0].effective_port)
        if config.ops_port is not None:
            self._listen(
                _health_alone(app),
                config,
                port=config.ops_port,
                threads=_OPS_THREADS,
                connection_limit=limit + _OPS_CONNECTIONS,
            )
        channel_class = _channel_class(body_too_large(config))
        for listener in self._listeners():
            listener.channel_class = channel_class
        self._stopping = False

    def _listen(
        self,
        app: WSGIApplication,
        config: Config,
        *,
        port: int,
        threads: int,
        connection_limit: int,
    ) -> Any:  # noqa: ANN401 - waitress is untyped
        try:
            return create_server(
                app,
                map=self._sockets,
                host=config.host,
                port=port,
                threads=threads,
                connection_limit=connection_limit,
                channel_timeout=IDLE_TIMEOUT_S,
                asyncore_use_poll=True,  # select() ends the process above about 1,000 sockets
                asyncore_loop_timeout=_LOOP_TIMEOUT_S,
                max_request_header_size=MAX_HEADER_BYTES,
                max_request_body_size=max_body_bytes(config),
                clear_untrusted_proxy_headers=True,
                ident=None,
                **_proxy(config),
            )
        except OSError as error:
            wasyncore.close_all(self._sockets, ignore_all=True)
            raise ConfigError(
                f"The service cannot listen on {config.host} port {port} ({error.strerror}); "
                "set HOST, PORT or OPS_PORT, or stop what listens there."
            ) from error

    def _listeners(self) -> list[BaseWSGIServer]:
        return [s for s in self._sockets.values() if isinstance(s, BaseWSGIServer)]

    def run(self) -> None:
        """Serve; returns when the drain is over. Must run in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self.serve()

    def serve(self) -> None:
        """Answer requests without a care for signals; for threads that are not the main one."""
        self._server.run()
        wasyncore.close_all(self._sockets, ignore_all=True)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            raise SystemExit(0)  # the drain thread's call; waitress ends its loop on it
        if self._services.draining.is_set():
            return
        self._services.draining.set()
        _log.info("draining after signal %d", number)
        threading.Thread(target=self._drain, args=(threading.main_thread().ident,)).start()

    def _drain(self, main_thread: int) -> None:
        deadline_s = time.monotonic() + self._drain_timeout_s
        while self._is_busy() and time.monotonic() < deadline_s:
            time.sleep(0.02)
        self._stopping = True
        signal.pthread_kill(main_thread, signal.SIGTERM)

    def _is_busy(self) -> bool:
        """Return whether any request is being answered or its answer still being sent.

        One that is half received does not count: it would be told to come again anyway.
        """
        channels = [c for c in list(self._sockets.values()) if isinstance(c, HTTPChannel)]
        return any(c.requests or c.total_outbufs_len for c in channels)


def _proxy(config: Config) -> dict[str, Any]:
    if not config.trusted_proxy:
        return {}
    return {
        "trusted_proxy": config.trusted_proxy,
        "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"},
    }


def _health_alone(app: WSGIApplication) -> WSGIApplication:
    """Return the part of the application that the ops listener serves."""

    def health(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/health"):
            return app(environ, start_response)
        request_id.begin(None)
        detail = "This port serves /health alone; the API has the other one."
        body, headers = _problem("not_found", detail, instance=environ["PATH_INFO"])
        start_response("404 Not Found", headers)
        return [body]

    return health


def _channel_class(too_large: str) -> type[HTTPChannel]:
    """Return waitress's channel with its own refusals as problem+json."""

    class ProblemTask(ErrorTask):  # type: ignore[misc]  # waitress has no annotations
        def execute(self) -> None:
            request_id.begin(self.request.headers.get("X_REQUEST_ID"))
            code, detail = _refused(self.request.error.code, too_large)
            body, headers = _problem(code, detail, instance="")
            self.status = f"{HTTP_STATUS[code]} {http.client.responses[HTTP_STATUS[code]]}"
            self.response_headers = [*headers, ("Connection", "close")]
            self.close_on_finish = True
            self.content_length = len(body)
            self.write(body)

    class ProblemChannel(HTTPChannel):  # type: ignore[misc]
        error_task_class = ProblemTask
        parser_class = _Parser

    return ProblemChannel


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # of urlsplit, on "GET http://[/": waitress would just hang up
            raise ParsingError("not an address") from error


def _refused(status: int, too_large: str) -> tuple[str, str]:
    """Return code and sentence for a status of waitress's own."""
    if status == 413:
        return "too_large", too_large
    if status == 431:
        return "too_large", "The request's headers are larger than this service takes."
    if status == 500:
        return "internal_error", problems.FIXED_500
    return "invalid_request", "The request is not HTTP that this service understands."


def _problem(code: str, detail: str, *, instance: str) -> tuple[bytes, list[tuple[str, str]]]:
    document = problems.problem(code, detail, instance=instance)
    body = json.dumps(document).encode()
    headers = {
        "Content-Type": problems.MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "X-Request-ID": document["request_id"],
    }
    return body, list(headers.items())


def announce(host: str, port: int, *, is_open: bool) -> None:
    """Print where the service is, where its documentation is, and one line to try."""
    shown = "localhost" if host in {"0.0.0.0", "127.0.0.1", "::"} else host  # noqa: S104 - compared, not bound
    address = f"http://{shown}:{port}"
    sys.stdout.write(
        f"Riskscan serves on {address}\n"
        f"Documentation:     {address}/docs\n"
        f"Try:               {_first_request(address, is_open=is_open)}\n"
    )
    sys.stdout.flush()


def _first_request(address: str, *, is_open: bool) -> str:
    scan = f"curl -s {address}/scan -F 'text=Project has tight budget and aggressive deadline'"
    if is_open:
        return scan
    return (
        f"curl -s {address}/api/auth/register -H 'Content-Type: application/json' "
        """-d '{"email":"test@test.com","password":"test123"}'; """
        f"T=$(curl -s {address}/api/auth/login -d 'username=test@test.com&password=test123' "
        """| sed 's/.*"access_token":"\\([^"]*\\).*/\\1/'); """
        f"""{scan.replace("/scan", "/api/scan", 1)} -H "Authorization: Bearer $T" """
    )
