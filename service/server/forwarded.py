"""Takes a client's address and scheme from the headers of a trusted proxy, and from nobody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from service.config.field_types import IpNetwork
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


class ForwardedRequests:
    """WSGI middleware: the application sees the client where it would see the proxy.

    X-Forwarded-For is read from the right: the last address that is no trusted proxy is the client's, since
    each proxy appends the address from which it was called. Of X-Forwarded-Proto only http and https count.
    All forwarding headers are removed.
    """

    def __init__(self, application: Application, proxies: Sequence[IpNetwork]) -> None:
        self._application = application
        self._proxies = proxies

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Call the application."""
        sent = {name: environ.pop(name, "") for name in _HEADERS}
        peer = read_address(environ.get("REMOTE_ADDR"))
        if peer is not None:
            environ["REMOTE_ADDR"] = str(peer)
        if self._is_proxy(peer):
            if sent["HTTP_X_FORWARDED_FOR"]:
                environ["REMOTE_ADDR"] = self._client(sent["HTTP_X_FORWARDED_FOR"])
            scheme = sent["HTTP_X_FORWARDED_PROTO"].strip().lower()
            if scheme in {"http", "https"}:
                environ["wsgi.url_scheme"] = scheme
        return self._application(environ, start_response)

    def _client(self, forwarded_for: str) -> str:
        for hop in reversed(forwarded_for.split(",")):
            address = read_address(hop)
            if not self._is_proxy(address):
                break
        return str(address or UNKNOWN)

    def _is_proxy(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._proxies)
