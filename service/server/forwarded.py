"""Takes a client's address and scheme from the headers of a trusted proxy, and from nobody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from service.config.networks import IpNetwork
from service.observability.client_address import Address, read_address

UNKNOWN = "unknown"
"""The address of a client that a trusted proxy names by no address."""
_HEADERS = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_BY",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO",
)

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class TrustedProxies:
    """The proxies whose headers count; those of any other peer do not."""

    def __init__(self, networks: Sequence[IpNetwork] = ()) -> None:
        self._networks = tuple(networks)

    def client(self, peer: str, forwarded_for: str) -> str:
        """Return the address of the client.

        `forwarded_for` is read from the right, since each proxy appends the address from which it was called:
        the last address that is no trusted proxy is the client's.
        """
        address = read_address(peer)
        if address is None:
            return peer
        if forwarded_for and self._include(address):
            for hop in reversed(forwarded_for.split(",")):
                address = read_address(hop)
                if not self._include(address):
                    break
        return str(address or UNKNOWN)

    def is_https(self, peer: str, forwarded_proto: str) -> bool:
        """Return whether a trusted proxy says that the client used HTTPS."""
        return forwarded_proto.strip().lower() == "https" and self._include(read_address(peer))

    def _include(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


class ForwardedRequests:
    """WSGI middleware: the application sees the client where it would see the proxy.

    Of X-Forwarded-Proto only https counts. All forwarding headers are removed.
    """

    def __init__(self, application: Application, proxies: TrustedProxies) -> None:
        self._application = application
        self._proxies = proxies

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Call the application."""
        sent = {name: environ.pop(name, "") for name in _HEADERS}
        peer = environ.get("REMOTE_ADDR", "")
        if self._proxies.is_https(peer, sent["HTTP_X_FORWARDED_PROTO"]):
            environ["wsgi.url_scheme"] = "https"
        environ["REMOTE_ADDR"] = self._proxies.client(peer, sent["HTTP_X_FORWARDED_FOR"])
        return self._application(environ, start_response)
