"""The listener on PORT: waitress with our connections, admission control and limits."""

from __future__ import annotations

from typing import Any

from apiflask import APIFlask
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server

from service.api.http.limits import MAX_HEADER_BYTES, max_body_bytes, max_upload_body_bytes
from service.config.settings import Config
from service.errors import ConfigError, RiskscanError
from service.server.admission import Dispatcher
from service.server.connection_policy import ConnectionPolicy
from service.server.connections import connection_class
from service.server.file_limits import effective_connection_limit
from service.server.forwarded import ForwardedRequests
from service.server.trigger import CoalescingTrigger

IDLE_TIMEOUT_S = 120
"""Seconds after which an idle connection is closed; a proxy in front has to close its own sooner."""
_LOOP_TIMEOUT_S = 1
# Responses, and bodies other than uploads, never go to temporary files, whose disk may be full. No thread
# waits for a client that does not read. memory_budget.py limits the memory instead.
_NEVER = 2**60


class Listener:
    """The listening sockets of one port, their connections, and the threads that run requests."""

    def __init__(self, waitress: Any, sockets: dict[int, Any], dispatcher: Dispatcher) -> None:  # noqa: ANN401 - untyped
        """`sockets` is waitress's own map, which it updates: listeners, connections and triggers."""
        self._waitress = waitress
        self._sockets = sockets
        self._dispatcher = dispatcher

    @property
    def port(self) -> int:
        """The port; with PORT=0 the one that the system chose."""
        return int(_listening(self._sockets)[0].effective_port)

    def n_queued(self) -> int:
        """Return how many requests wait for a thread."""
        return len(self._dispatcher.queue)

    def run(self) -> None:
        """Serve until a signal handler raises SystemExit."""
        self._waitress.run()

    def close(self) -> None:
        """Close the listening sockets and all connections."""
        wasyncore.close_all(self._sockets, ignore_all=True)

    def is_busy(self) -> bool:
        """Return whether any request is in progress or its response is still being sent.

        A partly received request does not count; its client has to retry.
        """
        # `requests` first: a request that ends meanwhile has its response in the queue.
        return any(c.requests or c.total_outbufs_len for c in self._connections())

    def has_unsent_responses(self) -> bool:
        """Return whether bytes of any response are still queued."""
        return any(c.total_outbufs_len for c in self._connections())

    def abort_requests(self, error: RiskscanError) -> int:
        """Answer all requests in progress with `error`; return how many."""
        return sum(connection.abort(error) for connection in self._connections())

    def _connections(self) -> list[Any]:
        return [c for c in list(self._sockets.values()) if isinstance(c, HTTPChannel)]


def open_listener(app: APIFlask, config: Config, policy: ConnectionPolicy) -> Listener:
    """Listen on HOST and PORT.

    Raises:
        ConfigError: the address is taken or belongs to another machine, or too few files may be open.
    """
    sockets: dict[int, Any] = {}
    dispatcher = Dispatcher(n_threads=config.threads)
    try:
        waitress = create_server(
            ForwardedRequests(app, config.trusted_proxy),
            map=sockets,
            _dispatcher=dispatcher,  # waitress 3.0.2 has no public parameter for it
            **_options(config),
        )
    except OSError as error:
        wasyncore.close_all(sockets, ignore_all=True)
        raise cannot_listen(config.host, config.port, error) from error
    connections = connection_class(policy)
    for listening in _listening(sockets):
        listening.channel_class = connections
        listening.trigger.close()
        listening.trigger = CoalescingTrigger(sockets)
    return Listener(waitress, sockets, dispatcher)


def cannot_listen(host: str, port: int, error: OSError) -> ConfigError:
    """Return the error for an address on which the service cannot listen."""
    return ConfigError(
        f"The service cannot listen on {host} port {port} ({error.strerror}); "
        "set HOST, PORT or OPS_PORT, or stop the program that listens there."
    )


def _listening(sockets: dict[int, Any]) -> list[BaseWSGIServer]:
    return [s for s in sockets.values() if isinstance(s, BaseWSGIServer)]


def _options(config: Config) -> dict[str, Any]:
    return {
        "host": config.host,
        "port": config.port,
        "connection_limit": effective_connection_limit(
            config.connection_limit, threads=config.threads
        ),
        "channel_timeout": IDLE_TIMEOUT_S,
        "asyncore_use_poll": True,  # select() ends the process above about 1,000 sockets
        "asyncore_loop_timeout": _LOOP_TIMEOUT_S,
        "max_request_header_size": MAX_HEADER_BYTES,
        "max_request_body_size": max(max_body_bytes(config), max_upload_body_bytes(config)),
        "inbuf_overflow": _NEVER,
        "outbuf_overflow": _NEVER,
        "outbuf_high_watermark": _NEVER,
        "clear_untrusted_proxy_headers": False,  # ForwardedRequests reads and removes them
        "ident": None,
    }
