"""The listener on PORT: waitress with our connections, admission control and limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from apiflask import APIFlask
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server

from service.api.http.limits import MAX_HEADER_BYTES, max_body_bytes, max_upload_body_bytes
from service.config.settings import Config
from service.errors import RiskscanError
from service.server.admission import Dispatcher
from service.server.connection_policy import ConnectionPolicy
from service.server.connections import connection_class
from service.server.file_limits import effective_connection_limit
from service.server.forwarded import ForwardedRequests
from service.server.listening import cannot_listen
from service.server.shared_accept import SharedAccept, SharedPort
from service.server.trigger import CoalescingTrigger

IDLE_TIMEOUT_S = 120
"""Seconds after which an idle connection is closed; a proxy in front has to close its own sooner."""
_LOOP_TIMEOUT_S = 1.0
_ROUNDING_S = 0.001
"""poll() counts in whole milliseconds."""
# Responses, and bodies other than uploads, never go to temporary files, whose disk may be full. No thread
# waits for a client that does not read. memory_budget.py limits the memory instead.
_NEVER = 2**60


class Listener:
    """The listening sockets of one port, their connections, and the threads that run requests."""

    def __init__(
        self,
        sockets: dict[int, Any],
        dispatcher: Dispatcher,
        turns: SharedAccept | None,
    ) -> None:
        """`sockets` is waitress's own map, which it updates: listeners, connections and triggers."""
        self._sockets = sockets
        self._dispatcher = dispatcher
        self._turns = turns
        self._listening = _listening(sockets)
        self._is_stopping = False

    @property
    def port(self) -> int:
        """The port; with PORT=0 the one that the system chose."""
        return int(_listening(self._sockets)[0].effective_port)

    def n_queued(self) -> int:
        """Return how many requests wait for a thread."""
        return len(self._dispatcher.queue)

    def run(self) -> None:
        """Serve until `stop`, or until a signal handler raises SystemExit."""
        with suppress(SystemExit, KeyboardInterrupt):
            while self._sockets and not self._is_stopping:
                # select() would end the process above about 1,000 sockets
                wasyncore.poll2(self._timeout_s(), self._sockets)
        self._dispatcher.shutdown()

    def stop(self) -> None:
        """End `run` in another thread, within a second."""
        self._is_stopping = True
        self.wake()

    def close(self) -> None:
        """Close the listening sockets and all connections, with what these have not sent."""
        for connection in self._connections():
            connection.handle_close()
        wasyncore.close_all(self._sockets, ignore_all=True)

    def wake(self) -> None:
        """Make the loop look at once whether the process drains. Safe in a signal handler."""
        for one in _listening(self._sockets)[:1]:
            one.pull_trigger()

    def is_busy(self, *, quiet_s: float) -> bool:
        """Return whether a request is in progress, or a connection sent or received in the last `quiet_s`.

        A partly received request counts by that alone: if its client stalls, it has to retry.
        """
        active_since_s = time.time() - quiet_s  # waitress takes this clock
        return any(
            # `requests` first: a request that ends meanwhile has its response in the queue.
            c.requests or c.total_outbufs_len or c.last_activity > active_since_s
            for c in self._connections()
        )

    def has_unsent_responses(self) -> bool:
        """Return whether bytes of any response are still queued."""
        return any(c.total_outbufs_len for c in self._connections())

    def abort_requests(self, error: RiskscanError) -> int:
        """Answer all requests in progress with `error`; return how many."""
        return sum(connection.abort(error) for connection in self._connections())

    def _timeout_s(self) -> float:
        """Return how long the loop may sleep: it wakes in time for a connection that was left to others."""
        if self._turns is None:
            return _LOOP_TIMEOUT_S
        self._turns.publish(sum(len(one.active_channels) for one in self._listening))
        wait_s = self._turns.wait_s()
        return wait_s + _ROUNDING_S if wait_s else _LOOP_TIMEOUT_S

    def _connections(self) -> list[Any]:
        return [c for c in list(self._sockets.values()) if isinstance(c, HTTPChannel)]


def open_listener(
    app: APIFlask,
    config: Config,
    policy: ConnectionPolicy,
    *,
    shared: SharedPort | None = None,
) -> Listener:
    """Listen on HOST and PORT, or on sockets that a supervisor opened for all its processes.

    Raises:
        ConfigError: the address is taken or belongs to another machine, or too few files may be open.
    """
    sockets: dict[int, Any] = {}
    dispatcher = Dispatcher(n_threads=config.threads)
    try:
        create_server(
            ForwardedRequests(app, policy.proxies),
            map=sockets,
            _dispatcher=dispatcher,  # waitress 3.0.2 has no public parameter for it
            **_options(config),
            **_place(config, shared),
        )
    except OSError as error:
        wasyncore.close_all(sockets, ignore_all=True)
        raise cannot_listen(config.host, config.port, error) from error
    connections = connection_class(policy)
    for listening in _listening(sockets):
        listening.channel_class = connections
        listening.trigger.close()
        listening.trigger = CoalescingTrigger(sockets)
        if shared is not None:
            _take_turns(listening, shared.accept)
        _close_when_draining(listening, policy.is_draining)
    return Listener(sockets, dispatcher, None if shared is None else shared.accept)


def _listening(sockets: dict[int, Any]) -> list[BaseWSGIServer]:
    return [s for s in sockets.values() if isinstance(s, BaseWSGIServer)]


def _options(config: Config) -> dict[str, Any]:
    return {
        "connection_limit": effective_connection_limit(
            config.connection_limit, threads=config.threads
        ),
        "channel_timeout": IDLE_TIMEOUT_S,
        "max_request_header_size": MAX_HEADER_BYTES,
        "max_request_body_size": max(max_body_bytes(config), max_upload_body_bytes(config)),
        "inbuf_overflow": _NEVER,
        "outbuf_overflow": _NEVER,
        "outbuf_high_watermark": _NEVER,
        "clear_untrusted_proxy_headers": False,  # ForwardedRequests reads and removes them
        "ident": None,
    }


def _place(config: Config, shared: SharedPort | None) -> dict[str, Any]:
    if shared is not None:
        return {"sockets": list(shared.sockets)}
    return {"host": config.host, "port": config.port}


def _take_turns(listening: BaseWSGIServer, turns: SharedAccept) -> None:
    """Let other processes accept first while they have fewer connections."""
    readable, handle_accept = listening.readable, listening.handle_accept
    # `readable` first: it also closes idle connections.
    listening.readable = lambda: readable() and not turns.wait_s()
    listening.handle_accept = lambda: turns.defer() or handle_accept()


def _close_when_draining(listening: BaseWSGIServer, is_draining: Callable[[], bool]) -> None:
    """Close the socket once the process drains.

    The system then refuses new connections, and a proxy sends their requests to another replica, even a POST.
    """
    readable = listening.readable  # the loop calls this in each turn

    def is_readable() -> bool:
        if not is_draining():
            return bool(readable())
        if listening.accepting:
            _close_listening(listening)
        return False

    listening.readable = is_readable


def _close_listening(listening: BaseWSGIServer) -> None:
    """Close a socket, after accepting the connections that wait there: the system would reset them."""
    n_before = -1
    while len(listening.active_channels) > n_before:
        n_before = len(listening.active_channels)
        type(listening).handle_accept(listening)
    wasyncore.dispatcher.close(
        listening
    )  # its own `close` would end the trigger that wakes the loop
