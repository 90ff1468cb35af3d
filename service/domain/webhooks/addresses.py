"""Which addresses a webhook may reach: public ones over TLS, and the networks in WEBHOOK_NETWORKS."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from service.errors import Fault, InvalidRequest
from service.observability.client_address import Address, unmapped

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MAX_URL_CHARS = 2000
_NO_ADDRESS = "Send an address such as https://example.com/hooks, without user, password and #."
# IPv6 networks in which an address carries an IPv4 address, to which a gateway sends it on (RFC 6052, 8215,
# 4380, 3056, 4291, 2765), and the site-local one (RFC 3879), which Python counts as public.
_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            *("64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "::/96"),
            *("::ffff:0:0:0/96", "fec0::/10"),
        ),
    )
)


class Destinations:
    """The hosts and networks to which webhooks may send."""

    def __init__(self, networks: Sequence[Network], hosts: Sequence[str]) -> None:
        """`networks` may be reached beside public addresses; `hosts` may be named, empty: any."""
        self._networks = networks
        self._hosts = frozenset(hosts)

    def check_url(self, url: str) -> None:
        """Raise InvalidRequest unless a webhook may have this address, as far as its text tells."""
        try:
            message = self._fault(urlsplit(url))
        except ValueError:  # no host, or a port above 65535
            message = _NO_ADDRESS
        if len(url) > MAX_URL_CHARS or not url.isascii() or not url.isprintable():
            message = _NO_ADDRESS
        if message:
            raise InvalidRequest.with_faults("The webhook was not stored.", [Fault("url", message)])

    def names_host(self, host: str) -> bool:
        """Return whether EGRESS_HOSTS allows a host."""
        return not self._hosts or host.lower() in self._hosts

    def is_listed(self, address: Address) -> bool:
        """Return whether WEBHOOK_NETWORKS has an address, which then needs no TLS."""
        plain = unmapped(address)
        return any(plain in network for network in self._networks)

    def allows(self, address: Address, *, is_encrypted: bool) -> bool:
        """Return whether a webhook may connect to an address."""
        return self.is_listed(address) or (is_encrypted and _is_public(address))

    def _fault(self, url: SplitResult) -> str | None:
        host, _ = url.hostname, url.port
        if url.scheme not in {"http", "https"} or not host or url.fragment or "@" in url.netloc:
            return _NO_ADDRESS
        if not _is_name(host):
            return f"{host} is no host: each part between its dots must have 1 to 63 characters."
        if not self.names_host(host):
            return f"EGRESS_HOSTS does not list {host}. Ask an administrator."
        is_encrypted = url.scheme == "https"
        if not is_encrypted and not self._networks:
            return "Send an https:// address; http:// is for the networks in WEBHOOK_NETWORKS."
        address = _literal(host)
        if address is None or self.allows(address, is_encrypted=is_encrypted):
            return None
        return "WEBHOOK_NETWORKS does not list this address, which is not public or not https://."


def _is_name(host: str) -> bool:
    """Return whether the resolver, which encodes names in this way, can look a name up."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _literal(host: str) -> Address | None:
    """Return an address that is written in numbers; None for a name, which is resolved at each attempt."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_public(address: Address) -> bool:
    plain = unmapped(address)
    if any(plain in network for network in _NOT_PUBLIC):
        return False
    return plain.is_global and not plain.is_multicast
