"""waitress's request parser; it rejects an invalid request before it reads too much of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.receiver import ChunkedReceiver, FixedStreamReceiver
from waitress.utilities import RequestEntityTooLarge

from service.api.http.limits import MAX_HEADER_BYTES, RETRY_AFTER_S, SMALL_BODY_BYTES, is_upload
from service.errors import InvalidRequest, Overloaded, RiskscanError
from service.server.body_buffer import BodyBuffer
from service.server.body_spool import BodySpool, SpoolPolicy
from service.server.framing import check_head, trim_values
from service.server.memory_budget import MemoryBudget

UploadAuthorizer = Callable[[str, Mapping[str, str]], str]
"""Takes path and headers of a request with a body over SMALL_BODY_BYTES; returns the user's id, or raises."""
_MEMORY_FULL = (
    "Large requests fill their memory, or your share of it (BUFFER_MEMORY_BYTES). Send fewer at once, "
    "or send this one again in a few seconds."
)
_MAX_CHUNK_LINE_BYTES = 1_024


class RequestParser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no annotations
    """Parses one request; `error` says why it was rejected, as a RiskscanError or waitress's own error.

    A rejected request consumes all bytes received with it, so none of them can start another request.
    """

    error: Any = None
    is_incomplete = False
    """Whether the request was rejected before its end, so that the client may still be sending."""
    _head_error: RiskscanError | None = None
    _user_id: str | None = None
    _n_reserved = 0
    _spool: SpoolPolicy | None = None
    """The policy of the body if it goes to the disk."""

    def __init__(
        self,
        adj: Any,  # noqa: ANN401 - waitress's
        *,
        authorize_upload: UploadAuthorizer,
        memory: MemoryBudget,
        max_body_bytes: int,
        spool: SpoolPolicy | None,
    ) -> None:
        """`authorize_upload` checks the head of a request with a large body.

        `memory` is the budget of bodies in memory, `max_body_bytes` their limit; `spool` has those of uploads
        that go to the disk.
        """
        super().__init__(adj)
        self._authorize_upload = authorize_upload
        self._memory = memory
        self._max_body_bytes = max_body_bytes
        self._spool_policy = spool

    def received(self, data: bytes) -> int:
        try:
            n_consumed = int(super().received(data))
            self.error = self._head_error or self.error
            if self.error is None:
                self._check_body()
            if self.error is None:
                return n_consumed
        except RiskscanError as error:
            self.error = error
        self.is_incomplete = self.completed = True
        self.expect_continue = False  # 100 Continue would invite the client to send the body
        return len(data)

    def parse_header(self, header_plus: bytes) -> None:
        try:
            check_head(header_plus)
            super().parse_header(trim_values(header_plus))
        except RiskscanError as error:
            self._head_error = error
            raise ParsingError(error.code) from error
        except ValueError as error:
            # urlsplit on "GET http://[/"; waitress alone would close the connection without a response.
            raise ParsingError("not an address") from error
        self._choose_body()

    def close(self) -> None:
        """Release the memory of the body."""
        super().close()
        if self._n_reserved and self._user_id is not None:
            budget = self._spool.budget if self._spool else self._memory
            budget.release(self._user_id, self._n_reserved)
            self._n_reserved = 0

    def _choose_body(self) -> None:
        """Let the body go to the disk if it is an upload, or to a buffer that frees what was read."""
        path = "/" + self.path.lstrip("/")  # as the application sees it
        body: Any = None
        if self._spool_policy is not None and is_upload(self.command, path):
            self._spool = self._spool_policy
            body = BodySpool(self._spool.folder)
        elif self.content_length > SMALL_BODY_BYTES:
            body = BodyBuffer()
        if body is not None and self.chunked:
            self.body_rcv = ChunkedReceiver(body)
        elif body is not None and self.content_length:
            self.body_rcv = FixedStreamReceiver(self.content_length, body)

    def _check_body(self) -> None:
        n_bytes = max(self.content_length, self.body_bytes_received)
        if n_bytes >= (self._spool.max_body_bytes if self._spool else self._max_body_bytes):
            self.error = RequestEntityTooLarge("exceeds the limit of this path")
            return
        if n_bytes > max(SMALL_BODY_BYTES, self._n_reserved):
            self._reserve_memory(n_bytes)
        if isinstance(self.body_rcv, ChunkedReceiver):
            _check_chunk_lines(self.body_rcv)

    def _reserve_memory(self, n_bytes: int) -> None:
        """Reserve memory for the announced length of the body, or for the length received so far."""
        if self._user_id is None:
            self._user_id = self._authorize_upload(self.path, self.headers)
        if self._spool is not None:
            self._spool.reserve(self._user_id, n_bytes - self._n_reserved)
        elif not self._memory.reserve(self._user_id, n_bytes - self._n_reserved):
            raise Overloaded(_MEMORY_FULL, retry_after_s=RETRY_AFTER_S)
        self._n_reserved = n_bytes


def _check_chunk_lines(body: ChunkedReceiver) -> None:
    """Limit the size line and the trailer, which waitress copies again for each piece received."""
    if len(body.control_line) > _MAX_CHUNK_LINE_BYTES or len(body.trailer) > MAX_HEADER_BYTES:
        raise InvalidRequest("A chunk's size line or the trailer is too long.")
