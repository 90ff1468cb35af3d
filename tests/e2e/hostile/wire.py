"""Sends a request as bytes, however malformed, and reads the answer."""

import contextlib
import http.client
import json
import socket
import time
from dataclasses import dataclass, field

QUIET_S = 2.0
"""How long an answer may take before the client ends its side, as a request without an end needs it."""
ANSWER_S = 180.0
BOUNDARY = "riskscan-hostile"


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 if the connection closed without a response, -1 if nothing came in time."""

    status: int
    content_type: str = ""
    body: bytes = b""

    @property
    def code(self):
        """Return the `code` of a problem document, or ""."""
        if "problem+json" not in self.content_type:
            return ""
        with contextlib.suppress(ValueError):
            return json.loads(self.body).get("code", "")
        return ""


CLOSED, SILENT = Answer(0), Answer(-1)


@dataclass(frozen=True)
class Request:
    """The parts of an HTTP request, none of which is checked."""

    method: str
    target: str
    headers: tuple = ()
    body: bytes = b""
    is_framed: bool = True
    """Whether Host, Content-Length and Connection are added."""

    def encoded(self):
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        if self.is_framed:
            lines += ["Host: localhost", "Connection: close"]
            if self.body or self.method not in {"GET", "HEAD", "DELETE"}:
                lines.append(f"Content-Length: {len(self.body)}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        head = "\r\n".join(lines) + "\r\n\r\n"
        return head.encode("utf-8", "surrogatepass") + self.body


@dataclass(frozen=True)
class Pieces:
    """Bytes to send, with a pause between the parts."""

    parts: tuple
    pause_s: float = 0.0
    method: str = field(default="POST")


def send(port, pieces):
    """Send the parts; return the first answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S) as connection:
        with contextlib.suppress(OSError):  # the service may refuse before it has read everything
            for part in pieces.parts:
                connection.sendall(part)
                time.sleep(pieces.pause_s)
        return _answer(connection, pieces.method)


def _answer(connection, method):
    connection.settimeout(QUIET_S)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
    except OSError:
        return CLOSED
    connection.settimeout(ANSWER_S)
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        body = response.read()
    except TimeoutError:
        return SILENT
    except (http.client.HTTPException, OSError):
        return CLOSED
    return Answer(response.status, response.headers.get("Content-Type", ""), body)


def json_body(value):
    """Return headers and body of a JSON request."""
    return (("Content-Type", "application/json"),), json.dumps(value).encode()


def form_body(files):
    """Return headers and body of a multipart form with files, each of a name and bytes."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, (filename, data) in files.items()
    ]
    body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    return (("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),), body
