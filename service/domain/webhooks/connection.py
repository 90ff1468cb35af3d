"""Posts to a webhook's address; the name is resolved once, and only an allowed address is connected to."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpcore

from service.domain.timed_connections import TimedConnections
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


class _AllowedAddresses(TimedConnections):
    """Connects to allowed addresses only."""

    def __init__(self, to: Destinations, deadline: Deadline, *, is_encrypted: bool) -> None:
        super().__init__(deadline)
        self._to = to
        self._is_encrypted = is_encrypted

    def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a name; NotDelivered if it has none, or any of them is not allowed."""
        try:
            found = super().addresses(host, port)
        except httpcore.ConnectError as error:
            raise NotDelivered("the name cannot be resolved") from error
        addresses = [_address(text) for text in found]
        if not all(self._to.allows(one, is_encrypted=self._is_encrypted) for one in addresses):
            raise NotDelivered("the address is not public; see WEBHOOK_NETWORKS")
        return found


def _address(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])
