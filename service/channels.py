"""waitress's connections: its own refusals as problem+json, and fewer calls to the system.

Each such call lets the GIL go, and where many threads want it, getting it back takes longer than the call.
"""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable, Iterator
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, Task, WSGITask
from waitress.trigger import trigger

from service import request_id
from service.errors import HTTP_STATUS
from service.problem_document import FIXED_500, problem_response

RETRY_AFTER_S = 2
_JOINED_BYTES = 65_536
TOO_MANY = "Too many requests wait already. Try again in a few seconds."


def channel_class(too_large: str, on_refused: Callable[[str], None]) -> type[HTTPChannel]:
    """Return waitress's channel with its own refusals as problem+json.

    `too_large` is what a body over the limit is told; `on_refused` is told the code of each.
    """

    class ProblemTask(_OneSend, ErrorTask):  # type: ignore[misc]
        def execute(self) -> None:
            request_id.begin(self.request.headers.get("X_REQUEST_ID"))
            code, detail = _refused(self.request.error.code, too_large)
            on_refused(code)
            body, headers = problem_response(code, detail, instance="")
            if code == "overloaded":
                headers.append(("Retry-After", str(RETRY_AFTER_S)))
            self.status = status_line(code)
            self.response_headers = [*headers, ("Connection", "close")]
            self.close_on_finish = True
            self.content_length = len(body)
            self.write(body)

    class ProblemChannel(_Channel):
        error_task_class = ProblemTask

    return ProblemChannel


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


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # of urlsplit, on "GET http://[/": waitress would just hang up
            raise ParsingError("not an address") from error


class _Channel(HTTPChannel):  # type: ignore[misc]
    task_class = _Task
    parser_class = _Parser
    _joined: list[bytes] | None = None

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

    def writable(self) -> bool:
        # A thread that sends holds the lock, and wakes the loop for what it could not send. Without
        # this the loop asks poll() again and again meanwhile, and keeps the sender from its GIL.
        if not super().writable() or not self.outbuf_lock.acquire(blocking=False):
            return False
        self.outbuf_lock.release()
        return True


def _refused(status: int, too_large: str) -> tuple[str, str]:
    """Return code and sentence for a status of waitress's own."""
    if status == 413:
        return "too_large", too_large
    if status == 503:
        return "overloaded", TOO_MANY
    if status == 431:
        return "too_large", "The request's headers are larger than this service takes."
    if status == 500:
        return "internal_error", FIXED_500
    return "invalid_request", "The request is not HTTP that this service understands."
