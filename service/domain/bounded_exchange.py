"""HTTP requests to other services, each on its own thread and connection, with limits on time and size."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

import httpcore

from service.domain.timed_connections import TimedConnections
from service.nlp.deadline import Deadline
from service.nlp.observer import Call

FAILURES = (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError)
"""What `send` raises without a connection. ValueError: the address is malformed."""


class TooManyCallsError(Exception):
    """As many calls as are allowed wait for the service already."""


class AnswerTooLongError(Exception):
    """The answer has more bytes than are allowed."""


@dataclass(frozen=True, slots=True, repr=False)
class OutgoingRequest:
    """A request. It holds secrets and content, so its representation does not show them."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class BoundedExchange:
    """Sends requests to one service. Thread-safe."""

    def __init__(self, name: str, *, n_calls: int, max_bytes: int) -> None:
        """`name` is that of the threads: `n_calls` at most, so that a hanging service holds no more."""
        self._name = name
        self._max_bytes = max_bytes
        self._tls = ssl.create_default_context()
        self._slots = threading.BoundedSemaphore(n_calls)

    def send(self, request: OutgoingRequest, call: Call, deadline: Deadline) -> tuple[int, bytes]:
        """Return status and body of the answer; redirects are not followed. `call` receives the sizes.

        The thread is separate, since nothing limits the resolution of a name.

        Raises:
            TooManyCallsError, AnswerTooLongError, TimeoutError: as they say.
            FAILURES: there was no connection, or it broke.
        """
        if not self._slots.acquire(blocking=False):
            raise TooManyCallsError
        outcome: Future[tuple[int, bytes]] = Future()

        def run() -> None:
            try:
                outcome.set_result(self._exchange(request, call, deadline))
            except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
                outcome.set_exception(error)
            finally:
                self._slots.release()

        threading.Thread(target=run, name=self._name, daemon=True).start()
        try:
            return outcome.result(timeout=deadline.remaining_s())
        except httpcore.TimeoutException as error:
            raise TimeoutError from error

    def _exchange(
        self, request: OutgoingRequest, call: Call, deadline: Deadline
    ) -> tuple[int, bytes]:
        wait = dict.fromkeys(("connect", "read", "write", "pool"), deadline.remaining_s())
        body = bytearray()
        with (
            httpcore.ConnectionPool(
                ssl_context=self._tls, network_backend=TimedConnections(deadline)
            ) as pool,
            pool.stream(
                request.method,
                request.url,
                headers=request.headers,
                content=_counted(request.body, call) if request.body else None,
                extensions={"timeout": wait},
            ) as response,
        ):
            call.status = response.status
            for chunk in response.iter_stream():
                body += chunk
                call.received_bytes = len(body)
                if len(body) > self._max_bytes:
                    raise AnswerTooLongError
        return response.status, bytes(body)


def _counted(body: bytes, call: Call) -> Iterator[bytes]:
    """Yield a body to the connection, which reads it once it is open."""
    call.sent_bytes = len(body)
    yield body
