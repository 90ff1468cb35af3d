"""The sidecar process: answers /health and /metrics on OPS_PORT from the service's last snapshot.

sidecar.py starts this process with the sockets to listen on, and writes one JSON line a second to its
standard input. So a busy service delays no response here, and a hanging one is noticed. The process ends with
the service, when its standard input closes. Imports no web framework.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from waitress.server import BaseWSGIServer, create_server

from service import __version__
from service.api.http.limits import PROBE_PATHS
from service.api.http.problem_document import problem_response
from service.api.http.security_headers import security_headers
from service.errors import Fault, Unavailable
from service.observability import logging, request_id
from service.server.connection_policy import ConnectionPolicy
from service.server.connections import connection_class
from service.server.problem_responses import status_line

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SILENT_S = 10.0
"""Seconds without a snapshot after which the service counts as hung; it sends one a second."""
_METHODS = ("GET", "HEAD")
_THREADS = 2
_CONNECTION_LIMIT = 200
_BODY_BYTES = 1_024
_LOOP_TIMEOUT_S = 1

_Response = tuple[str, bytes, list[tuple[str, str]]]
"""Status line, body and headers."""


class SidecarApp:
    """The WSGI application of OPS_PORT; `receive` updates its snapshot."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._received_at_s = -float("inf")
        self._ready: dict[str, Any] = {}
        self._faults: tuple[Fault, ...] = ()
        self._metrics: tuple[str, bytes] = ("", b"")

    def receive(self, line: bytes) -> None:
        """Replace the snapshot by a line from the service; only some lines carry metrics."""
        snapshot = json.loads(line)
        self._ready = snapshot["ready"]
        self._faults = tuple(Fault(*fault) for fault in snapshot["faults"])
        if "metrics" in snapshot:
            self._metrics = (snapshot["media_type"], snapshot["metrics"].encode())
        self._received_at_s = self._clock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request_id.begin(environ.get("HTTP_X_REQUEST_ID"))
        method = environ["REQUEST_METHOD"]
        status, body, headers = self._respond(method, environ["PATH_INFO"])
        start_response(status, [*headers, *security_headers(is_https=False)])
        return [] if method == "HEAD" else [body]

    def _respond(self, method: str, path: str) -> _Response:
        if path not in PROBE_PATHS:
            detail = "This port serves /health and /metrics only; the API is on PORT."
            return _problem("not_found", detail, path)
        if method not in _METHODS:
            status, body, headers = _problem("method_not_allowed", "Use GET or HEAD.", path)
            return status, body, [*headers, ("Allow", ", ".join(_METHODS))]
        silent_s = self._clock() - self._received_at_s
        if silent_s > SILENT_S:
            detail = (
                f"The service sent no snapshot for {SILENT_S:g} s; it hangs, or has just started."
            )
            return _not_ready(path, (Fault("process", detail),))
        return self._respond_from_snapshot(path, silent_s)

    def _respond_from_snapshot(self, path: str, age_s: float) -> _Response:
        if path == "/metrics":
            media_type, body = self._metrics
            return "200 OK", body, _headers(media_type, body)
        if path != "/health/ready":
            return _json({"status": "ok", "version": __version__})
        if self._faults:
            return _not_ready(path, self._faults)
        return _json({**self._ready, "age_s": round(self._ready["age_s"] + age_s, 3)})


def main() -> None:
    """Serve on the sockets whose file descriptors are the arguments, until standard input ends."""
    for number in (signal.SIGTERM, signal.SIGINT):  # probes go on while the service drains
        signal.signal(number, signal.SIG_IGN)
    logging.configure("WARNING")
    app = SidecarApp()
    server = _listen(app, [socket.socket(fileno=int(number)) for number in sys.argv[1:]])
    threading.Thread(target=server.run, daemon=True).start()
    for line in sys.stdin.buffer:
        app.receive(line)


def _listen(app: SidecarApp, sockets: list[socket.socket]) -> Any:  # noqa: ANN401 - waitress is untyped
    waitress_sockets: dict[int, Any] = {}
    server = create_server(
        app,
        map=waitress_sockets,
        sockets=sockets,
        threads=_THREADS,
        connection_limit=_CONNECTION_LIMIT,
        asyncore_use_poll=True,
        asyncore_loop_timeout=_LOOP_TIMEOUT_S,
        max_request_body_size=_BODY_BYTES,
        clear_untrusted_proxy_headers=True,
        ident=None,
    )
    too_large_detail = f"This port accepts bodies of at most {_BODY_BYTES:,} bytes, and needs none."
    connections = connection_class(ConnectionPolicy(too_large_detail, on_rejected=lambda _: None))
    for listener in waitress_sockets.values():
        if isinstance(listener, BaseWSGIServer):
            listener.channel_class = connections
    return server


def _json(document: dict[str, Any]) -> _Response:
    body = json.dumps(document).encode()
    return "200 OK", body, _headers("application/json", body)


def _headers(media_type: str, body: bytes) -> list[tuple[str, str]]:
    return [
        ("Content-Type", media_type),
        ("Content-Length", str(len(body))),
        ("X-Request-ID", str(request_id.current_request_id())),
    ]


def _not_ready(path: str, faults: tuple[Fault, ...]) -> _Response:
    detail = " ".join(fault.message for fault in faults)
    status, body, headers = _problem("not_ready", detail, path, faults)
    return status, body, [*headers, ("Retry-After", str(Unavailable.default_retry_after_s))]


def _problem(code: str, detail: str, path: str, faults: tuple[Fault, ...] = ()) -> _Response:
    body, headers = problem_response(code, detail, instance=path, faults=faults)
    return status_line(code), body, headers
