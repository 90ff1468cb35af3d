"""Ports for servers that open them later, or again after a break."""

import contextlib
import secrets
import socket


def free_port():
    """Return a free port below the ephemeral range, so that no client of a test takes it meanwhile."""
    while True:
        port = secrets.choice(range(10_000, 32_000))
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
