"""Posts to a webhook's address; the name is resolved once, and only an allowed address is connected to."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpcore

from service.domain.webhooks.addresses import Destinations
from service.nlp.deadline import Deadline
from service.observability.client_address import Address

TIMEOUT_S = 15.0
"""Time for one delivery, from resolving the name to the answer's status."""


class NotDelivered(Exception):
    """No answer came; the message says why, in words for the delivery's log."""


def post(url: str, body: bytes, headers: Mapping[str, str], *, to: Destinations) -> int:
    """Post a JSON body and return the HTTP status; the answer's body is not read, redirects are not followed.

    Raises:
        NotDelivered: the address is not allowed, or gives no answer within TIMEOUT_S.
    """
    parts = urlsplit(url)
    if not to.names_host(parts.hostname or ""):
        raise NotDelivered("EGRESS_HOSTS does not list the host")
    deadline = Deadline.after(TIMEOUT_S)
    backend = _AllowedAddresses(to, deadline, is_encrypted=parts.scheme == "https")
    sent = [("Content-Type", "application/json"), ("User-Agent", "riskscan"), *headers.items()]
    wait = dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT_S)
    try:
        with (
            httpcore.ConnectionPool(
                ssl_context=ssl.create_default_context(), network_backend=backend
            ) as pool,
            pool.stream(
                "POST", url, headers=sent, content=body, extensions={"timeout": wait}
            ) as response,
        ):
            return response.status
    except httpcore.TimeoutException as error:
        raise NotDelivered(f"no answer within {TIMEOUT_S:.0f} s") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as error:
        raise NotDelivered(f"the connection failed ({type(error).__name__})") from error


class _AllowedAddresses(httpcore.NetworkBackend):
    """Connects to allowed addresses, until a deadline: httpcore limits each wait, not their sum."""

    def __init__(self, to: Destinations, deadline: Deadline, *, is_encrypted: bool) -> None:
        self._to = to
        self._deadline = deadline
        self._is_encrypted = is_encrypted
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline counts
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of `host` that answers; NotDelivered if any is not allowed."""
        failure: httpcore.ConnectError | None = None
        for address in self._addresses(host, port):
            try:
                stream = self._sockets.connect_tcp(
                    str(address), port, self._remaining_s(), local_address, socket_options
                )
            except httpcore.ConnectError as error:
                failure = error
            else:
                return _StreamUntil(stream, self._deadline)
        raise failure or httpcore.ConnectError("the name has no address")

    def _addresses(self, host: str, port: int) -> list[Address]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise NotDelivered("the name cannot be resolved") from error
        addresses = list(dict.fromkeys(_address(entry[4][0]) for entry in found))
        if not all(self._to.allows(one, is_encrypted=self._is_encrypted) for one in addresses):
            raise NotDelivered("the address is not public; see WEBHOOK_NETWORKS")
        return addresses

    def _remaining_s(self) -> float:
        return _remaining_s(self._deadline)


class _StreamUntil(httpcore.NetworkStream):
    """A stream whose reads and writes end at a deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the deadline counts
        return self._stream.read(max_bytes, _remaining_s(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, _remaining_s(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        remaining_s = _remaining_s(self._deadline)
        encrypted = self._stream.start_tls(ssl_context, server_hostname, remaining_s)
        return _StreamUntil(encrypted, self._deadline)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's signature
        return self._stream.get_extra_info(info)


def _remaining_s(deadline: Deadline) -> float:
    remaining_s = deadline.remaining_s()
    if remaining_s <= 0:
        raise httpcore.ReadTimeout("the deadline passed")
    return remaining_s


def _address(text: str | int) -> Address:
    return ipaddress.ip_address(str(text).partition("%")[0])
