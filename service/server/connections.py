"""waitress's connections: refusals as problem+json, and fewer system calls.

Each system call releases the GIL. With many threads, getting it back takes longer than the call itself.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.task import ErrorTask, Task, WSGITask
from waitress.trigger import trigger
from waitress.utilities import Error

from service.api.http.buffer_memory import STRANGERS, USER_KEY, Budget
from service.api.http.limits import RETRY_AFTER_S, SMALL_BODY_BYTES
from service.api.http.problem_document import FIXED_500, headers_of, problem_response
from service.errors import PROBLEM_TYPES, InvalidRequest, Overloaded, RiskscanError, TooLarge
from service.observability import request_id
from service.server.request_parser import Gate, RequestParser

TOO_MANY = "Too many requests wait already. Try again in a few seconds."
_UNREAD = (
    "Unread answers fill their memory, or your share of it (BUFFER_MEMORY_BYTES). The request was carried "
    "out, but its answer is not sent. Read the other answers first."
)
_JOINED_BYTES = 65_536
_LINGER_S = 5.0
"""Seconds that a refused client may go on sending before the connection is closed (nginx's default too)."""
_LINGER_BYTES = 65_536

_DEFAULT_BUDGET_BYTES = 1 << 24
"""Enough for a hundred scrapes of /metrics."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a connection refuses, and where it reports that."""

    too_large: str
    """The detail of a 413."""
    on_refused: Callable[[str], None]
    """Receives the code of each refusal."""
    admit: Gate = lambda _path, _headers: STRANGERS
    """Decides who may send a large body."""
    bodies: Budget = field(default_factory=lambda: Budget(_DEFAULT_BUDGET_BYTES))
    """Memory for large bodies."""
    answers: Budget = field(default_factory=lambda: Budget(_DEFAULT_BUDGET_BYTES))
    """Memory for large unread answers."""
    origins: tuple[str, ...] = ()
    """Origins of web pages that may read a refusal, such as that of an expired token."""


def channel_class(rules: Rules) -> type[HTTPChannel]:
    """Return the class of connections under these rules."""
    parser = functools.partial(RequestParser, admit=rules.admit, memory=rules.bodies)
    members = {"rules": rules, "parser_class": staticmethod(parser)}
    return type("RiskscanChannel", (_Channel,), members)


def status_line(code: str) -> str:
    """Return the WSGI status line of an error code, such as "503 Service Unavailable"."""
    status = PROBLEM_TYPES[code].status
    return f"{status} {http.client.responses[status]}"


def whole_problem(error: RiskscanError, *, offered_id: str | None, is_head: bool) -> bytes:
    """Return a whole HTTP answer to an error, which closes the connection."""
    request_id.begin(offered_id)
    body, headers = problem_response(error.code, error.message, instance="")
    headers += [*headers_of(error), ("Connection", "close")]
    lines = (f"HTTP/1.1 {status_line(error.code)}", *(f"{n}: {v}" for n, v in headers), "", "")
    return "\r\n".join(lines).encode("latin-1") + (b"" if is_head else body)


class CoalescingTrigger(trigger):  # type: ignore[misc]  # waitress has no annotations
    """Wakes waitress's loop once, however many threads ask before the loop runs."""

    _is_pulled = False

    def _physical_pull(self) -> None:
        if not self._is_pulled:
            self._is_pulled = True
            super()._physical_pull()

    def handle_read(self) -> None:
        """Consume the wake-up; the loop polls every connection after this, so no later one is lost."""
        super().handle_read()
        self._is_pulled = False


class _JoinedTask(Task):  # type: ignore[misc]
    is_refused = False

    def write(self, data: bytes) -> None:
        with self.channel.joining():  # headers and body
            super().write(data)

    def refuse(self, error: RiskscanError) -> None:
        """Answer with a problem and close the connection."""
        rules = self.channel.rules
        rules.on_refused(error.code)
        self.is_refused = True
        body, headers = problem_response(error.code, error.message, instance="")
        self.version = "1.1"  # ours; the request's may be unknown
        self.status = status_line(error.code)
        headers += [*headers_of(error), *_cors(self.request.headers, rules.origins)]
        self.response_headers = [*headers, ("Connection", "close")]
        self.close_on_finish = self.complete = True
        self.content_length = len(body)
        self.write(b"" if getattr(self.request, "command", "") == "HEAD" else body)


class _Task(_JoinedTask, WSGITask):  # type: ignore[misc]
    """Sends the application's answer, or a 503 if unread answers leave no memory for it.

    Counts an answer of one piece or a file in full, and one of several pieces by its Content-Length.
    """

    def execute(self) -> None:
        try:
            super().execute()
        except _NoRoomError:
            self.refuse(Overloaded(_UNREAD, retry_after_s=RETRY_AFTER_S))

    def write(self, data: bytes) -> None:
        if not self.wrote_header and not self.is_refused:
            user_id = self.environ.get(USER_KEY, STRANGERS)
            self.channel.hold(user_id, max(len(data), self.content_length or 0))
        super().write(data)


class _ProblemTask(_JoinedTask, ErrorTask):  # type: ignore[misc]
    def execute(self) -> None:
        request_id.begin(self.request.headers.get("X_REQUEST_ID"))
        self.refuse(_ours(self.request.error, self.channel.rules))


class _NoRoomError(Exception):
    """There is no memory for an answer until its client reads it."""


class _Channel(HTTPChannel):  # type: ignore[misc]
    task_class = _Task
    error_task_class = _ProblemTask
    rules: Rules
    will_close: bool = False
    close_when_flushed: bool = False
    _joined: list[bytes] | None = None
    _is_to_linger = False
    _lingers_until_s: float | None = None
    _is_cut_off = False
    _answered: RequestParser | None = None
    """The request whose answer is being sent."""
    _holds: tuple[tuple[str, int], ...] = ()

    @contextlib.contextmanager
    def joining(self) -> Iterator[None]:
        """Collect writes and send them at the end of the block, in one call if copying them is cheap."""
        joined: list[bytes] = []
        self._joined = joined
        try:
            yield
        finally:
            self._joined = None
        if sum(map(len, joined)) <= _JOINED_BYTES:
            joined = [b"".join(joined)]
        with self.outbuf_lock:
            for part in joined:
                self._send(_uncopied(part))

    def _send(self, data: Any) -> int:  # noqa: ANN401 - bytes, or waitress's file
        with self.outbuf_lock:
            if self._is_cut_off:
                raise ClientDisconnected
            self._answered = self.requests[0] if self.requests else None
            return int(super().write_soon(data))

    def write_soon(self, data: Any) -> int:  # noqa: ANN401 - bytes, or waitress's file
        if self._joined is None:
            return self._send(data)
        self._joined.append(data)
        return len(data)

    def cut_off(self, error: RiskscanError) -> bool:
        """Answer the request in progress with `error` instead; return whether it had no answer yet."""
        with self.outbuf_lock:
            request = self.requests[0] if self.requests else self.request
            if request is None or request is self._answered or self._is_cut_off:
                return False
            self._is_to_linger = self.request is not None  # its client still sends
            offered_id = request.headers.get("X_REQUEST_ID")
            is_head = getattr(request, "command", "") == "HEAD"
            problem = whole_problem(error, offered_id=offered_id, is_head=is_head)
            with contextlib.suppress(ClientDisconnected):
                super().write_soon(problem)
            self._is_cut_off = self.close_when_flushed = True
            return True

    def hold(self, holder: str, n_bytes: int) -> None:
        """Reserve memory for an answer until the queue is sent; small queues need none.

        Raises:
            _NoRoomError: they do not fit.
        """
        if self.total_outbufs_len + n_bytes <= SMALL_BODY_BYTES:
            return
        if not self.rules.answers.take(holder, n_bytes):
            raise _NoRoomError
        self._holds += ((holder, n_bytes),)

    def service(self) -> None:
        """Answer the next request; see waitress."""
        if self._is_cut_off:
            self.cancel()
            return
        self._is_to_linger = self.requests[0].is_cut_short
        try:
            super().service()
        finally:
            self._give_back()

    def _give_back(self) -> None:
        with self.outbuf_lock:
            if self._holds and not self.total_outbufs_len and not self.requests:
                for holder, n_bytes in self._holds:
                    self.rules.answers.give_back(holder, n_bytes)
                self._holds = ()

    def _flush_some(self, do_close: bool = True) -> bool:
        is_some_sent = bool(super()._flush_some(do_close))
        if self._holds:
            self._give_back()
        return is_some_sent

    def handle_close(self) -> None:
        """Close, and release the client's memory."""
        if self.request is not None:
            self.request.close()
        super().handle_close()
        self._give_back()

    def readable(self) -> bool:
        """Return whether to poll for input; the loop calls this at least once a second."""
        if self._lingers_until_s is None:
            return bool(super().readable())
        self.will_close = self.will_close or time.monotonic() > self._lingers_until_s
        return not self.will_close

    def handle_read(self) -> None:
        """Read the received bytes; discard those of a refused request."""
        if self._lingers_until_s is None:
            super().handle_read()
            return
        try:
            self.recv(_LINGER_BYTES)  # closes at the end
        except OSError:
            self.handle_close()

    def writable(self) -> bool:
        # A sending thread holds the lock and wakes the loop if bytes are left over. Without this check the
        # loop would spin meanwhile and take the GIL from the sender.
        if not super().writable() or not self.outbuf_lock.acquire(blocking=False):
            return False
        self.outbuf_lock.release()
        return True

    def handle_write(self) -> None:
        """Send the queue; close when it is empty, but give a refused client time to read.

        Closing a socket with unread input resets the connection, and the client may lose the answer.
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


def _uncopied(data: Any) -> Any:  # noqa: ANN401 - bytes, or waitress's file
    """Wrap large bytes in a file, which waitress sends without a copy."""
    if not isinstance(data, bytes) or len(data) <= _JOINED_BYTES:
        return data
    file = ReadOnlyFileBasedBuffer(io.BytesIO(data))
    file.prepare()
    return file


def _cors(headers: Mapping[str, str], origins: tuple[str, ...]) -> list[tuple[str, str]]:
    if (origin := headers.get("ORIGIN")) not in origins or origin is None:
        return []
    allowed = ("Access-Control-Allow-Origin", origin)
    return [allowed, ("Access-Control-Allow-Credentials", "true"), ("Vary", "Origin")]


def _ours(error: RiskscanError | Error, rules: Rules) -> RiskscanError:
    """Translate waitress's error to ours."""
    if isinstance(error, RiskscanError):
        return error
    if error.code == 413:
        return TooLarge(rules.too_large)
    if error.code == 431:
        return TooLarge("The request's headers are larger than this service takes.")
    if error.code == 500:
        return RiskscanError(FIXED_500)
    return InvalidRequest("The request is not HTTP that this service understands.")
