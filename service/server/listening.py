"""Listening sockets that several processes may share. Imports no web framework."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from service.errors import ConfigError


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on each address of `host`; with port 0 the system chooses one port for all of them.

    Raises:
        ConfigError: an address is taken or belongs to another machine.
    """
    sockets: list[socket.socket] = []
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in addresses:
            chosen = sockets[0].getsockname()[1] if sockets else port
            sockets.append(socket.create_server((address[0], chosen, *address[2:]), family=family))
    except OSError as error:
        close_all(sockets)
        raise cannot_listen(host, port, error) from error
    return sockets


def close_all(sockets: Iterable[socket.socket]) -> None:
    """Close all of `sockets`."""
    for listening in sockets:
        listening.close()


def cannot_listen(host: str, port: int, error: OSError) -> ConfigError:
    """Return the error for an address on which the service cannot listen."""
    return ConfigError(
        f"The service cannot listen on {host} port {port} ({error.strerror}); "
        "set HOST, PORT or OPS_PORT, or stop the program that listens there."
    )
