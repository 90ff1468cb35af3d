"""The process that refuses new connections while the service has more to do than it can.

It shares the service's listening sockets, and takes connections from them only while it is told to. A refusal
here costs the service neither threads nor the interpreter's lock, for which one there waits behind all that
computes. What must not be refused goes to the service as it came, and so does what has sent nothing yet when
the rush is over. shedding.py starts it; it ends with the service. Imports no framework.
"""

from __future__ import annotations

import contextlib
import re
import resource
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from service.api.http.limits import MAX_HEADER_BYTES, PROBE_PATHS, RETRY_AFTER_S
from service.errors import Overloaded
from service.server.connections import TOO_MANY, whole_problem

SHED, REST = b"shed", b"rest"
"""What the service tells."""
PASSED, REFUSED = b"p", b"r"
"""What the service is told: a connection with the bytes that came over it, or how many were refused."""
RECEIVED_BYTES = 65_536
"""That are read at once, and so the most that come with a connection that is passed on."""

PATIENCE_S = 10.0
_MOST_HELD = 500
_ACCEPTED_AT_ONCE = 32
_TURN_S = 0.5
_TOLD_EVERY_S = 0.5  # each wakes the service
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*(?:\r\n|$)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_REQUEST_ID = re.compile(rb"\r\nx-request-id:[ \t]*(\S+)[ \t]*(?:\r\n|$)", re.IGNORECASE)
_PROBE = re.compile(rb"[A-Z]+ (?:%s)[ ?]" % b"|".join(path.encode() for path in PROBE_PATHS))


@dataclass(eq=False, slots=True)
class _Caller:
    connection: socket.socket
    came_s: float
    received: bytes = b""
    is_answered: bool = False


class Shedder:
    """Refuses what comes over `listeners` while `service`, a socket of packets, says so."""

    def __init__(
        self,
        service: socket.socket,
        listeners: list[socket.socket],
        *,
        most_held: int = _MOST_HELD,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Hold `most_held` connections at once; a further one closes the oldest.

        A connection without a complete request after `patience_s` seconds is refused.
        """
        self._patience_s = patience_s
        self._service = service
        self._listeners = listeners
        self._most_held = most_held
        self._selector = selectors.DefaultSelector()
        self._callers: dict[_Caller, None] = {}  # in the order in which they came
        self._is_shedding = False
        self._n_refused = 0
        self._told_at_s = -float("inf")
        for one in (service, *listeners):
            one.setblocking(False)
        self._selector.register(service, selectors.EVENT_READ)

    def run(self) -> None:
        """Serve until the service has closed its end."""
        while self._turn():
            now_s = time.monotonic()
            self._close_old(now_s)
            if self._n_refused and now_s - self._told_at_s >= _TOLD_EVERY_S:
                self._told_at_s = now_s
                self._tell()
        for caller in list(self._callers):
            self._close(caller)
        self._selector.close()

    def _turn(self) -> bool:
        """Do what there is to do, or wait a little for it; return whether the service is still there."""
        for key, _ in self._selector.select(_TURN_S):
            if key.fileobj is self._service:
                if not self._hear():
                    return False
            elif isinstance(key.data, _Caller):
                self._read(key.data)
            elif self._is_shedding:
                self._accept(key.data)
        return True

    def _hear(self) -> bool:
        """Take in what the service tells; return whether it is still there."""
        try:
            told = self._service.recv(16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if told == SHED and not self._is_shedding:
            self._is_shedding = True
            for one in self._listeners:
                self._selector.register(one, selectors.EVENT_READ, one.accept)
        elif told == REST and self._is_shedding:
            self._is_shedding = False
            for one in self._listeners:
                self._selector.unregister(one)
            for caller in [c for c in self._callers if not c.is_answered]:
                self._pass_on(caller)
        return bool(told)

    def _accept(self, accept: Callable[[], tuple[socket.socket, object]]) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                connection, _address = accept()
            except OSError:  # nobody is left, or one has gone already
                return
            connection.setblocking(False)
            self._read(_Caller(connection, time.monotonic()))

    def _read(self, caller: _Caller) -> None:
        try:
            received = caller.connection.recv(RECEIVED_BYTES)
        except BlockingIOError:
            self._hold(caller)
            return
        except OSError:
            self._close(caller)
            return
        if not received:
            self._close(caller)
        elif caller.is_answered:
            pass  # unread bytes would make the system cut the answer off
        else:
            caller.received += received
            self._answer(caller)

    def _answer(self, caller: _Caller) -> None:
        head, end, body = caller.received.partition(b"\r\n\r\n")
        if not end and len(head) < MAX_HEADER_BYTES:
            self._hold(caller)
        elif _PROBE.match(head):
            self._pass_on(caller)
        else:
            self._refuse(caller, head, body)

    def _refuse(self, caller: _Caller, head: bytes, body: bytes) -> None:
        self._n_refused += 1
        try:
            caller.connection.send(refusal(head))
            if _is_whole(head, body):
                self._close(caller)
                return
            caller.connection.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(caller)
            return
        caller.is_answered, caller.received = True, b""
        self._hold(caller)

    def _pass_on(self, caller: _Caller) -> None:
        if len(caller.received) <= RECEIVED_BYTES:
            # a service whose buffer is full has no use for it either
            with contextlib.suppress(OSError):
                told = PASSED + caller.received
                socket.send_fds(self._service, [told], [caller.connection.fileno()])
        self._close(caller)

    def _hold(self, caller: _Caller) -> None:
        if caller in self._callers:
            return
        if len(self._callers) >= self._most_held:
            self._close(next(iter(self._callers)))
        self._callers[caller] = None
        self._selector.register(caller.connection, selectors.EVENT_READ, caller)

    def _close(self, caller: _Caller) -> None:
        if caller in self._callers:
            del self._callers[caller]
            self._selector.unregister(caller.connection)
        caller.connection.close()

    def _close_old(self, now_s: float) -> None:
        while self._callers:
            oldest = next(iter(self._callers))
            if now_s - oldest.came_s < self._patience_s:
                return
            if oldest.received:
                self._n_refused += 1
                with contextlib.suppress(OSError):
                    oldest.connection.send(refusal(oldest.received))
            self._close(oldest)

    def _tell(self) -> None:
        with contextlib.suppress(OSError):  # told with the next ones
            self._service.send(REFUSED + b"%d" % self._n_refused)
            self._n_refused = 0


def refusal(head: bytes) -> bytes:
    """Return the answer to a request with this head."""
    offered = _REQUEST_ID.search(head)
    return whole_problem(
        Overloaded(TOO_MANY, retry_after_s=RETRY_AFTER_S),
        offered_id=offered[1].decode("latin-1") if offered else None,
        is_head=head.startswith(b"HEAD "),
    )


def _is_whole(head: bytes, body: bytes) -> bool:
    if _CHUNKED.search(head):
        return body.endswith(b"0\r\n\r\n")
    length = _LENGTH.search(head)
    return length is None or len(body) >= int(length[1])


def main() -> None:
    """Shed for the service at the other end of the first descriptor; the others listen."""
    for number in (signal.SIGTERM, signal.SIGINT):  # the service drains first, and is watched
        signal.signal(number, signal.SIG_IGN)
    service, *listeners = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    may_open, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    Shedder(service, listeners, most_held=min(_MOST_HELD, may_open // 2)).run()
