"""A JSON server on a free loopback port; a test can make it fail as real servers do."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO


@dataclass(frozen=True)
class Reply:
    """A response that replaces the server's own."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    trickle_s: float = 0.0  # pause after each byte of the body
    header_trickle_s: float = 0.0  # pause after each byte of a header of 100 bytes


class _Server(ThreadingHTTPServer):
    """Is silent about clients that hang up."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class LoopbackServer:
    """Answers POST requests with `answer`, and records them in `requests`.

    Each item of `replies` replaces the answer to one request. All other answers wait for `gate`, and for each
    other at `meeting` if it is set.
    """

    path: str

    def __init__(self) -> None:
        self.replies: deque[Reply] = deque()
        self.requests: list[tuple[dict[str, str], Any]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.meeting: threading.Barrier | None = None
        self._http = _Server(("127.0.0.1", 0), _handler_class(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def read(self, headers: dict[str, str], body: bytes) -> Any:
        """Parse the body of a request."""
        del headers
        return json.loads(body)

    def answer(self, request: Any) -> Any:
        raise NotImplementedError

    def reply(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        request = self.read(headers, body)
        self.requests.append((headers, request))
        with suppress(IndexError):  # several threads take them
            return self.replies.popleft()
        if path != self.path:
            return Reply(404, b'{"error": {"message": "no such path"}}')
        self.gate.wait()
        if self.meeting is not None:
            self.meeting.wait(60)
        return Reply(body=json.dumps(self.answer(request)).encode())

    def close(self) -> None:
        self.gate.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def _handler_class(server: LoopbackServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reply = server.reply(self.path, dict(self.headers), body)
            time.sleep(reply.delay_s)
            try:
                self._send(reply)
            except OSError:  # the client has hung up
                self.close_connection = True

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            if reply.header_trickle_s:
                self.flush_headers()
                _send_slowly(self.wfile, b"X-Slow: " + b"x" * 90 + b"\r\n", reply.header_trickle_s)
            self.end_headers()
            _send_slowly(self.wfile, reply.body, reply.trickle_s)

        def log_message(self, *_args: object) -> None:
            pass

    return Handler


def _send_slowly(file: BinaryIO, data: bytes, pause_s: float) -> None:
    step = 1 if pause_s else max(1, len(data))
    for i in range(0, len(data), step):
        file.write(data[i : i + step])
        file.flush()
        time.sleep(pause_s)
