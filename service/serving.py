"""The HTTP server: waitress, its own errors as problem+json, and a drain on SIGTERM."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from apiflask import APIFlask
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ErrorTask

from service import problems
from service.app import max_body_bytes
from service.config import Config
from service.context import EXTENSION, Services

# Above about 1,000 sockets select() fails; poll() has no such bound. 100 is waitress's own limit and
# 110 idle sockets would then hang everybody (measured with waitress 3.0.2, November 2026).
_CONNECTION_LIMIT = 1_000
_LOOP_TIMEOUT_S = 1
_log = logging.getLogger(__name__)


class Server:
    """Serves one application until SIGTERM or SIGINT, then lets the requests in flight finish."""

    def __init__(self, app: APIFlask, config: Config) -> None:
        self._services: Services = app.extensions[EXTENSION]
        self._drain_timeout_s = config.drain_timeout_s
        self._sockets: dict[int, Any] = {}
        self._server = create_server(
            app,
            map=self._sockets,
            host=config.host,
            port=config.port,
            threads=config.threads,
            connection_limit=_CONNECTION_LIMIT,
            asyncore_use_poll=True,
            asyncore_loop_timeout=_LOOP_TIMEOUT_S,
            max_request_body_size=max_body_bytes(config),
            clear_untrusted_proxy_headers=True,
            ident=None,
            **_proxy(config),
        )
        listeners = [s for s in self._sockets.values() if isinstance(s, BaseWSGIServer)]
        for listener in listeners:
            listener.channel_class = _ProblemChannel
        self.port = int(listeners[0].effective_port)
        self._stopping = False

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
        """Return whether any request is being received, answered, or still being sent."""
        channels = [c for c in list(self._sockets.values()) if isinstance(c, HTTPChannel)]
        return any(c.request or c.requests or c.total_outbufs_len for c in channels)


def _proxy(config: Config) -> dict[str, Any]:
    if not config.trusted_proxy:
        return {}
    return {
        "trusted_proxy": config.trusted_proxy,
        "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"},
    }


class _ProblemTask(ErrorTask):  # type: ignore[misc]  # waitress has no annotations
    """Answers what waitress refuses by itself (a body or header too large, broken HTTP)."""

    _CODES = {413: "too_large", 431: "invalid_request", 500: "internal_error"}  # noqa: RUF012

    def execute(self) -> None:
        error = self.request.error
        code = self._CODES.get(error.code, "invalid_request")
        details = {
            413: "The request body is larger than this service takes.",
            431: "The request headers are larger than this service takes.",
        }
        detail = details.get(error.code, "The request is not valid HTTP.")
        body = json.dumps(problems.problem(code, error.code, detail, instance="")).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers = [
            ("Content-Type", problems.MEDIA_TYPE),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        self.close_on_finish = True
        self.content_length = len(body)
        self.write(body)


class _ProblemChannel(HTTPChannel):  # type: ignore[misc]
    error_task_class = _ProblemTask


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
