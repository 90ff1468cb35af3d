"""The process that answers /health and /metrics on OPS_PORT, from what the service last told it.

The service writes a JSON line to its standard input every second. So nothing that the service does, even
with the interpreter's lock in hand for a while, delays an answer here, and a service that hangs is seen.
ops.py starts it with the sockets to listen on; it ends with the service. Imports no framework.
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
from service.errors import Fault, Unavailable
from service.observability import logging, request_id
from service.server.connections import Rules, channel_class, status_line

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SILENT_S = 10.0
"""A service that has told nothing for so long hangs: it tells every second."""
_METHODS = ("GET", "HEAD")
_THREADS = 2
_CONNECTION_LIMIT = 200
_BODY_BYTES = 1_024
_LOOP_TIMEOUT_S = 1

Answer = tuple[str, bytes, list[tuple[str, str]]]
"""Status line, body and headers."""


class OpsAnswers:
    """The WSGI application of the ops listener; `hear` keeps it up to date."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard_at_s = -float("inf")
        self._ready: dict[str, Any] = {}
        self._faults: tuple[Fault, ...] = ()
        self._metrics: tuple[str, bytes] = ("", b"")

    def hear(self, line: bytes) -> None:
        """Take in what the service tells; metrics come with some lines only."""
        news = json.loads(line)
        self._ready = news["ready"]
        self._faults = tuple(Fault(*fault) for fault in news["faults"])
        if "metrics" in news:
            self._metrics = (news["media_type"], news["metrics"].encode())
        self._heard_at_s = self._clock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request_id.begin(environ.get("HTTP_X_REQUEST_ID"))
        method = environ["REQUEST_METHOD"]
        status, body, headers = self._answer(method, environ["PATH_INFO"])
        start_response(status, [*headers, ("Cache-Control", "no-store")])
        return [] if method == "HEAD" else [body]

    def _answer(self, method: str, path: str) -> Answer:
        if path not in PROBE_PATHS:
            told = "This port serves /health and /metrics; the API has the other one."
            return _refusal("not_found", told, path)
        if method not in _METHODS:
            status, body, headers = _refusal("method_not_allowed", "This is only read.", path)
            return status, body, [*headers, ("Allow", ", ".join(_METHODS))]
        silent_s = self._clock() - self._heard_at_s
        if silent_s > SILENT_S:
            return _not_ready(path, (Fault("process", "The service has told nothing lately."),))
        return self._found(path, silent_s)

    def _found(self, path: str, silent_s: float) -> Answer:
        if path == "/metrics":
            media_type, body = self._metrics
            return "200 OK", body, _headers(media_type, body)
        if path != "/health/ready":
            return _json({"status": "ok", "version": __version__})
        if self._faults:
            return _not_ready(path, self._faults)
        return _json({**self._ready, "age_s": round(self._ready["age_s"] + silent_s, 3)})


def main() -> None:
    """Serve on the sockets whose numbers are the arguments until standard input ends."""
    for number in (signal.SIGTERM, signal.SIGINT):  # the service drains first, and is watched
        signal.signal(number, signal.SIG_IGN)
    logging.configure("WARNING")
    answers = OpsAnswers()
    server = _listen(answers, [socket.socket(fileno=int(number)) for number in sys.argv[1:]])
    threading.Thread(target=server.run, daemon=True).start()
    for line in sys.stdin.buffer:
        answers.hear(line)


def _listen(answers: OpsAnswers, sockets: list[socket.socket]) -> Any:  # noqa: ANN401 - waitress is untyped
    served: dict[int, Any] = {}
    server = create_server(
        answers,
        map=served,
        sockets=sockets,
        threads=_THREADS,
        connection_limit=_CONNECTION_LIMIT,
        asyncore_use_poll=True,
        asyncore_loop_timeout=_LOOP_TIMEOUT_S,
        max_request_body_size=_BODY_BYTES,
        clear_untrusted_proxy_headers=True,
        ident=None,
    )
    too_large = f"This port takes bodies of {_BODY_BYTES:,} bytes at most, and needs none."
    for listener in served.values():
        if isinstance(listener, BaseWSGIServer):
            listener.channel_class = channel_class(Rules(too_large, on_refused=lambda _: None))
    return server


def _json(document: dict[str, Any]) -> Answer:
    body = json.dumps(document).encode()
    return "200 OK", body, _headers("application/json", body)


def _headers(media_type: str, body: bytes) -> list[tuple[str, str]]:
    return [
        ("Content-Type", media_type),
        ("Content-Length", str(len(body))),
        ("X-Request-ID", str(request_id.current_request_id())),
    ]


def _not_ready(path: str, faults: tuple[Fault, ...]) -> Answer:
    told = " ".join(fault.message for fault in faults)
    status, body, headers = _refusal("not_ready", told, path, faults)
    return status, body, [*headers, ("Retry-After", str(Unavailable.default_retry_after_s))]


def _refusal(code: str, detail: str, path: str, faults: tuple[Fault, ...] = ()) -> Answer:
    body, headers = problem_response(code, detail, instance=path, faults=faults)
    return status_line(code), body, headers
