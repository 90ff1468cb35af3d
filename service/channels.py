"""waitress's connections: its own refusals as problem+json, and fewer calls to the system.

Each such call lets the GIL go, and where many threads want it, getting it back takes longer than the call.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, Task, WSGITask
from waitress.trigger import trigger
from waitress.utilities import Error

from service import request_id
from service.errors import HTTP_STATUS, InvalidRequest, RiskscanError, TooLarge
from service.problem_document import FIXED_500, headers_of, problem_response
from service.request_parser import Gate, RequestParser

RETRY_AFTER_S = 2
TOO_MANY = "Too many requests wait already. Try again in a few seconds."
_JOINED_BYTES = 65_536
_LINGER_S = 5.0
"""How long a refused client may go on sending before its connection is cut; nginx waits as long."""
_LINGER_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Rules:
    """What a channel needs to know of the service: how it refuses, and who is told."""

    too_large: str
    """The detail of a 413."""
    on_refused: Callable[[str], None]
    """Receives the code of each refusal."""
    admit: Gate | None = None
    """Decides who may send a large body."""
    origins: tuple[str, ...] = ()
    """Web pages that may read a refusal; without it they would not see that a token has expired."""


def channel_class(rules: Rules) -> type[HTTPChannel]:
    """Return the class of connections under these rules."""
    parser = functools.partial(RequestParser, admit=rules.admit)
    members = {"rules": rules, "parser_class": staticmethod(parser)}
    return type("RiskscanChannel", (_Channel,), members)


def status_line(code: str) -> str:
    """Return the status of an error's code with its words, as WSGI wants it."""
    return f"{HTTP_STATUS[code]} {http.client.responses[HTTP_STATUS[code]]}"


class OneWake(trigger):  # type: ignore[misc]  # waitress has no annotations
    """Wakes waitress's loop; once, however many threads ask before it has looked."""

    _is_pulled = False

    def _physical_pull(self) -> None:
        if not self._is_pulled:
            self._is_pulled = True
            super()._physical_pull()

    def handle_read(self) -> None:
        """Look; after this the loop asks each connection anew, so that who came meanwhile is seen too."""
        super().handle_read()
        self._is_pulled = False


class _OneSend(Task):  # type: ignore[misc]
    def write(self, data: bytes) -> None:
        with self.channel.joining():  # headers and body
            super().write(data)


class _Task(_OneSend, WSGITask):  # type: ignore[misc]
    pass


class _ProblemTask(_OneSend, ErrorTask):  # type: ignore[misc]
    def execute(self) -> None:
        request_id.begin(self.request.headers.get("X_REQUEST_ID"))
        rules = self.channel.rules
        error = _ours(self.request.error, rules)
        rules.on_refused(error.code)
        body, headers = problem_response(error.code, error.message, instance="")
        self.version = "1.1"  # ours; that of the request may not be known
        self.status = status_line(error.code)
        headers += [*headers_of(error), *_cors(self.request.headers, rules.origins)]
        self.response_headers = [*headers, ("Connection", "close")]
        self.close_on_finish = True
        self.content_length = len(body)
        self.write(b"" if getattr(self.request, "command", "") == "HEAD" else body)


class _Channel(HTTPChannel):  # type: ignore[misc]
    task_class = _Task
    error_task_class = _ProblemTask
    rules: Rules
    will_close: bool = False
    close_when_flushed: bool = False
    _joined: list[bytes] | None = None
    _is_to_linger = False
    _lingers_until_s: float | None = None

    @contextlib.contextmanager
    def joining(self) -> Iterator[None]:
        """Send what is written within the block at its end, by one call unless joining it costs more."""
        joined: list[bytes] = []
        self._joined = joined
        try:
            yield
        finally:
            self._joined = None
        parts = [b"".join(joined)] if sum(map(len, joined)) <= _JOINED_BYTES else joined
        for part in parts:
            super().write_soon(part)

    def write_soon(self, data: Any) -> int:  # noqa: ANN401 - bytes, or waitress's file
        if self._joined is None:
            return int(super().write_soon(data))
        self._joined.append(data)
        return len(data)

    def service(self) -> None:
        """Answer the next request; see waitress."""
        self._is_to_linger = self.requests[0].is_cut_short
        super().service()

    def readable(self) -> bool:
        """Return whether to read; the loop asks at least once a second."""
        if self._lingers_until_s is None:
            return bool(super().readable())
        self.will_close = self.will_close or time.monotonic() > self._lingers_until_s
        return not self.will_close

    def handle_read(self) -> None:
        """Read what has come; of a refused request, only to drop it."""
        if self._lingers_until_s is None:
            super().handle_read()
            return
        try:
            self.recv(_LINGER_BYTES)  # closes at the end
        except OSError:
            self.handle_close()

    def writable(self) -> bool:
        # A thread that sends holds the lock, and wakes the loop for what it could not send. Without
        # this the loop asks poll() again and again meanwhile, and keeps the sender from its GIL.
        if not super().writable() or not self.outbuf_lock.acquire(blocking=False):
            return False
        self.outbuf_lock.release()
        return True

    def handle_write(self) -> None:
        """Send what waits, and close where all is sent; a refused client is given time to read it.

        The system resets a connection that is closed with unread bytes, and the answer may be lost.
        """
        is_last = self.close_when_flushed and self._is_to_linger
        if is_last:
            self.close_when_flushed = False
        super().handle_write()
        if is_last and self.total_outbufs_len:
            self.close_when_flushed = True
        elif is_last and self.connected:
            self._linger()

    def _linger(self) -> None:
        self._lingers_until_s = time.monotonic() + _LINGER_S
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:  # the client has gone
            self.handle_close()


def _cors(headers: Mapping[str, str], origins: tuple[str, ...]) -> list[tuple[str, str]]:
    if (origin := headers.get("ORIGIN")) not in origins or origin is None:
        return []
    allowed = ("Access-Control-Allow-Origin", origin)
    return [allowed, ("Access-Control-Allow-Credentials", "true"), ("Vary", "Origin")]


def _ours(error: RiskscanError | Error, rules: Rules) -> RiskscanError:
    """Return the error that waitress's own stands for."""
    if isinstance(error, RiskscanError):
        return error
    if error.code == 413:
        return TooLarge(rules.too_large)
    if error.code == 431:
        return TooLarge("The request's headers are larger than this service takes.")
    if error.code == 500:
        return RiskscanError(FIXED_500)
    return InvalidRequest("The request is not HTTP that this service understands.")
