"""Sheds load: while too much waits, a process beside this one refuses what comes over new connections."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from waitress import wasyncore
from waitress.server import BaseWSGIServer

from service.server.admission import Dispatcher
from service.server.child_process import ChildProcess
from service.server.shedding_process import PASSED, RECEIVED_BYTES, REST, SHED

_LOOKED_AFTER_EVERY_S = 1.0
_MOST_BEYOND_LIMIT = 16
"""Connections that ask after the health, and are taken though CONNECTION_LIMIT is reached."""
_log = logging.getLogger(__name__)


class Shedding(wasyncore.dispatcher):  # type: ignore[misc]  # waitress has no annotations
    """The service's end of the line to the process that refuses; waitress's loop calls it at each turn.

    Connections that are open already stay with this process, which refuses what comes over them itself.
    """

    def __init__(
        self,
        listeners: Sequence[BaseWSGIServer],
        dispatcher: Dispatcher,
        *,
        sockets: dict[int, Any],
        connection_limit: int,
        on_refused: Callable[[int], None],
    ) -> None:
        """`sockets` are waitress's; `on_refused` is told how many were refused."""
        self._listeners = listeners
        self._dispatcher = dispatcher
        self._sockets = sockets
        self._connection_limit = connection_limit
        self._on_refused = on_refused
        self._is_shedding = False
        self._looked_after_at_s = time.monotonic()  # so that its start is not in the way of ours
        ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        descriptors = [self._theirs.fileno(), *(one.socket.fileno() for one in listeners)]
        self._child = ChildProcess("service.server.shedding_process", descriptors)
        super().__init__(ours, map=sockets)

    def readable(self) -> bool:
        """Look how much waits; waitress asks this before each poll()."""
        now_s = time.monotonic()
        if now_s - self._looked_after_at_s >= _LOOKED_AFTER_EVERY_S:
            self._looked_after_at_s = now_s
            self._look_after()
        if self._is_too_much() != self._is_shedding:
            self._is_shedding = not self._is_shedding
            self._tell()
        return True

    def writable(self) -> bool:
        """Return False: what is told is short."""
        return False

    def handle_read(self) -> None:
        """Take a connection that came back, or hear how many did not."""
        try:
            told, descriptors, _, _ = socket.recv_fds(self.socket, 1 + RECEIVED_BYTES, 1)
        except OSError:
            return
        if told[:1] == PASSED and descriptors:
            self._take(socket.socket(fileno=descriptors[0]), told[1:])
        elif told:
            self._on_refused(int(told[1:]))

    def close(self) -> None:
        """End the process."""
        self._child.end()
        self._theirs.close()
        super().close()

    def _is_too_much(self) -> bool:
        n, most = len(self._dispatcher.queue), self._dispatcher.most_waiting
        is_full = len(self._sockets) >= self._connection_limit
        return is_full or n >= (most // 2 if self._is_shedding else most)

    def _tell(self) -> None:
        with contextlib.suppress(OSError):  # told again when the process is looked after
            self.socket.send(SHED if self._is_shedding else REST)
        for listener in self._listeners:
            listener.accepting = not (self._child.has_started and self._is_shedding)

    def _look_after(self) -> None:
        try:
            if not self._child.ensure_running():
                return
        except OSError as error:
            _log.error("the shedding process was not started: %s", type(error).__name__)
        self._tell()

    def _take(self, connection: socket.socket, received: bytes) -> None:
        if len(self._sockets) >= self._connection_limit + _MOST_BEYOND_LIMIT:
            connection.close()
            return
        listener = next(o for o in self._listeners if o.socket.family == connection.family)
        try:
            listener.set_socket_options(connection)
            address = listener.fix_addr(connection.getpeername())
        except OSError:  # it has gone already
            connection.close()
            return
        channel = listener.channel_class(
            listener, connection, address, listener.adj, map=self._sockets
        )
        channel.received(received)
