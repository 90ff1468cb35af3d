"""waitress's request parser; it refuses a request before it reads too much of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import ChunkedReceiver, FixedStreamReceiver

from service.api.http.buffer_memory import Budget
from service.api.http.limits import MAX_HEADER_BYTES, RETRY_AFTER_S, SMALL_BODY_BYTES
from service.errors import InvalidRequest, Overloaded, RiskscanError
from service.server.body_buffer import BodyBuffer
from service.server.framing import check_head

Gate = Callable[[str, Mapping[str, str]], str]
"""Takes path and headers of a request with a body over SMALL_BODY_BYTES; returns its user, or raises."""
NO_ROOM = (
    "Large requests fill their memory, or your share of it (BUFFER_MEMORY_BYTES). Send fewer at once, "
    "or send this one again in a few seconds."
)
_MAX_CHUNK_LINE_BYTES = 1_024


class RequestParser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no annotations
    """Parses one request; `error` is the reason of a refusal, a RiskscanError or waitress's own.

    A refused request consumes all bytes received with it, so none of them can start another request.
    """

    error: Any = None
    _refusal: RiskscanError | None = None
    is_cut_short = False
    """Whether the request was refused before its end, so that the client may still be sending."""
    _holder: str | None = None
    _n_held = 0

    def __init__(self, adj: Any, *, admit: Gate, memory: Budget) -> None:  # noqa: ANN401 - waitress's
        """`admit` checks the head of a request with a large body before `memory` receives the body."""
        super().__init__(adj)
        self._admit = admit
        self._memory = memory

    def received(self, data: bytes) -> int:
        n_taken = int(super().received(data))
        self.error = self._refusal or self.error
        if self.error is None:
            try:
                self._check_body()
            except RiskscanError as error:
                self.error = error
            else:
                return n_taken
        self.is_cut_short = self.completed = True
        self.expect_continue = False  # 100 Continue would ask for the body
        return len(data)

    def parse_header(self, header_plus: bytes) -> None:
        try:
            check_head(header_plus)
            super().parse_header(header_plus)
        except RiskscanError as error:
            self._refusal = error
            raise ParsingError(error.code) from error
        except (
            ValueError
        ) as error:  # urlsplit on "GET http://[/"; waitress would only close the connection
            raise ParsingError("not an address") from error
        if self.content_length > SMALL_BODY_BYTES:
            self.body_rcv = FixedStreamReceiver(self.content_length, BodyBuffer())

    def close(self) -> None:
        """Release the memory of the body."""
        super().close()
        if self._n_held and self._holder is not None:
            self._memory.give_back(self._holder, self._n_held)
            self._n_held = 0

    def _check_body(self) -> None:
        n_bytes = max(self.content_length, self.body_bytes_received)
        if n_bytes > max(SMALL_BODY_BYTES, self._n_held):
            self._hold(n_bytes)
        if isinstance(self.body_rcv, ChunkedReceiver):
            _check_chunk_lines(self.body_rcv)

    def _hold(self, n_bytes: int) -> None:
        """Reserve memory for the announced length of the body, or for its length so far."""
        if self._holder is None:
            self._holder = self._admit(self.path, self.headers)
        if not self._memory.take(self._holder, n_bytes - self._n_held):
            raise Overloaded(NO_ROOM, retry_after_s=RETRY_AFTER_S)
        self._n_held = n_bytes


def _check_chunk_lines(body: ChunkedReceiver) -> None:
    """Limit the bytes that waitress keeps and joins again for each received piece."""
    if len(body.control_line) > _MAX_CHUNK_LINE_BYTES or len(body.trailer) > MAX_HEADER_BYTES:
        raise InvalidRequest("A chunk's size line or the trailer is too long.")
