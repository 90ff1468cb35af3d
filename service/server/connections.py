"""Connections: waitress's, with fewer system calls, a lingering close, and a memory budget for responses.

Each system call releases the GIL. With many threads, getting it back takes longer than the call itself.
"""

from __future__ import annotations

import contextlib
import functools
import io
import socket
import time
from collections.abc import Iterator
from typing import Any

from waitress.buffers import OverflowableBuffer, ReadOnlyFileBasedBuffer
from waitress.channel import ClientDisconnected, HTTPChannel

from service.api.http.limits import SMALL_BODY_BYTES
from service.errors import RiskscanError
from service.server.connection_policy import ConnectionPolicy
from service.server.problem_responses import raw_problem_response
from service.server.request_parser import RequestParser
from service.server.tasks import ApplicationTask, ProblemTask, ResponseMemoryFullError

_COPIED_BYTES = 65_536
"""Up to this size, copying headers and body together is cheaper than a second system call."""
_BUFFER_BYTES = 262_144
"""A buffer takes so many bytes, and what is written at once then."""
_LINGER_S = 5.0
"""Seconds that a rejected client may go on sending before the connection is closed (nginx's default too)."""
_LINGER_BYTES = 65_536


def connection_class(policy: ConnectionPolicy) -> type[HTTPChannel]:
    """Return a class of connections under this policy; waitress takes a class, not an object."""
    parser = functools.partial(
        RequestParser,
        authorize_upload=policy.authorize_upload,
        memory=policy.body_memory,
        max_body_bytes=policy.max_body_bytes,
        spool=policy.spool,
    )
    members = {"policy": policy, "parser_class": staticmethod(parser)}
    return type("RiskscanConnection", (_Connection,), members)


class _Connection(HTTPChannel):  # type: ignore[misc]  # waitress has no annotations
    task_class = ApplicationTask
    error_task_class = ProblemTask
    policy: ConnectionPolicy
    will_close: bool = False
    close_when_flushed: bool = False
    _pending_writes: list[bytes] | None = None
    _needs_lingering_close = False
    _lingers_until_s: float | None = None
    _is_aborted = False
    _responding_to: RequestParser | None = None
    """The request whose response is being sent."""
    _reservations: tuple[tuple[str, int], ...] = ()
    """User id and bytes of each response that the client has not read yet."""

    def is_https(self, request: RequestParser) -> bool:
        """Return whether a request came by HTTPS, which only a trusted proxy can say."""
        forwarded_proto = request.headers.get("X_FORWARDED_PROTO", "")
        return self.policy.proxies.is_https(self.addr[0], forwarded_proto)

    def client_address(self, request: RequestParser) -> str:
        """Return the client's address: the peer's, or the one that a trusted proxy names."""
        forwarded_for = request.headers.get("X_FORWARDED_FOR", "")
        return self.policy.proxies.client(self.addr[0], forwarded_for)

    # Sending. A worker thread writes; the loop sends what the socket did not take at once.

    @contextlib.contextmanager
    def coalesced_writes(self) -> Iterator[None]:
        """Collect writes and send them at the end of the block, in one call if copying them is cheap."""
        pending: list[bytes] = []
        self._pending_writes = pending
        try:
            yield
        finally:
            self._pending_writes = None
        if sum(map(len, pending)) <= _COPIED_BYTES:
            pending = [b"".join(pending)]
        with self.outbuf_lock:
            for part in pending:
                self._send(_avoid_copy(part))

    def write_soon(self, data: Any) -> int:  # noqa: ANN401 - bytes, or waitress's file
        if self._pending_writes is None:
            return self._send(data)
        self._pending_writes.append(data)
        return len(data)

    def _send(self, data: Any) -> int:  # noqa: ANN401 - bytes, or waitress's file
        with self.outbuf_lock:
            if self._is_aborted:
                raise ClientDisconnected
            self._responding_to = self.requests[0] if self.requests else None
            if self.current_outbuf_count >= _BUFFER_BYTES:
                self._begin_buffer()
            return int(super().write_soon(data))

    def _begin_buffer(self) -> None:
        """Write to a new buffer: waitress's keep the bytes that they have sent until they are removed."""
        self.outbufs.append(OverflowableBuffer(self.adj.outbuf_overflow))
        self.current_outbuf_count = 0

    def writable(self) -> bool:
        # A sending thread holds the lock and wakes the loop if bytes are left over. Without this check the
        # loop would spin meanwhile and take the GIL from the sender.
        if not super().writable() or not self.outbuf_lock.acquire(blocking=False):
            return False
        self.outbuf_lock.release()
        return True

    # One request: called by a worker thread, and at shutdown by the thread that drains.

    def service(self) -> None:
        """Run the next request's task; a worker thread of waitress calls this."""
        if self._is_aborted:
            self.cancel()
            return
        self._needs_lingering_close = self.requests[0].is_incomplete
        try:
            super().service()
        finally:
            self._release_memory()

    def abort(self, error: RiskscanError) -> bool:
        """Answer the request in progress with `error`; return False if there is none or it has a response."""
        with self.outbuf_lock:
            request = self.requests[0] if self.requests else self.request
            if request is None or request is self._responding_to or self._is_aborted:
                return False
            self._needs_lingering_close = self.request is not None  # its client is still sending
            offered_id = request.headers.get("X_REQUEST_ID")
            is_head = getattr(request, "command", "") == "HEAD"
            response = raw_problem_response(
                error, offered_id=offered_id, is_head=is_head, is_https=self.is_https(request)
            )
            with contextlib.suppress(ClientDisconnected):
                super().write_soon(response)
            self._is_aborted = self.close_when_flushed = True
            return True

    # Memory of responses that the client has not read yet.

    def reserve_memory(self, user_id: str, n_bytes: int, *, held: int = 0) -> int:
        """Reserve memory for more bytes than are unsent already; return how much it took.

        Until all is sent it stays reserved. A small amount needs no reservation. `held` is what the same
        response has reserved before.

        Raises:
            ResponseMemoryFullError: the bytes do not fit.
        """
        unsent: int = self.total_outbufs_len + n_bytes
        missing = unsent - sum(reserved for _, reserved in self._reservations)
        if unsent <= SMALL_BODY_BYTES or missing <= 0:
            return 0
        if not self.policy.response_memory.reserve(user_id, missing, held=held):
            raise ResponseMemoryFullError
        self._reservations += ((user_id, missing),)
        return missing

    def _release_memory(self) -> None:
        """Release all reservations once every response is sent."""
        with self.outbuf_lock:
            if self._reservations and not self.total_outbufs_len and not self.requests:
                for user_id, n_bytes in self._reservations:
                    self.policy.response_memory.release(user_id, n_bytes)
                self._reservations = ()

    def _flush_some(self, do_close: bool = True) -> bool:
        is_some_sent = bool(super()._flush_some(do_close))
        if self._reservations:
            self._release_memory()
        return is_some_sent

    def handle_close(self) -> None:
        """Close, and release the memory of the request and its responses."""
        if self.request is not None:
            self.request.close()
        super().handle_close()
        self._release_memory()

    # Lingering close. Closing a socket with unread input resets the connection, and the client may lose the
    # response. So a rejected client that is still sending gets time to read it.

    def handle_write(self) -> None:
        """Send the queue; when it is empty, close or begin the lingering close."""
        is_last = self.close_when_flushed and self._needs_lingering_close
        if is_last:
            self.close_when_flushed = False
        super().handle_write()
        if is_last and self.total_outbufs_len:
            self.close_when_flushed = True
        elif is_last and self.connected:
            self._begin_lingering_close()

    def _begin_lingering_close(self) -> None:
        self._lingers_until_s = time.monotonic() + _LINGER_S
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:  # the client has gone
            self.handle_close()

    def readable(self) -> bool:
        """Return whether to poll for input; the loop calls this at least once a second."""
        if self._lingers_until_s is None:
            return bool(super().readable())
        self.will_close = self.will_close or time.monotonic() > self._lingers_until_s
        return not self.will_close

    def handle_read(self) -> None:
        """Read the received bytes; discard those of a rejected request."""
        if self._lingers_until_s is None:
            super().handle_read()
            return
        try:
            self.recv(_LINGER_BYTES)  # closes at the end
        except OSError:
            self.handle_close()


def _avoid_copy(data: Any) -> Any:  # noqa: ANN401 - bytes, or waitress's file
    """Wrap large bytes in a file, which waitress sends without a copy."""
    if not isinstance(data, bytes) or len(data) <= _COPIED_BYTES:
        return data
    file = ReadOnlyFileBasedBuffer(io.BytesIO(data))
    file.prepare()
    return file
