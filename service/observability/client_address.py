"""Addresses of clients: read in every form in which proxies write them, and as limits count them."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_WITH_PORT = re.compile(r"\[(?P<six>[^\]]+)\](?::\d*)?|(?P<four>[^:]+):\d*")
_LIMITED_PREFIX = 64
"""Who has an IPv6 address mostly has a network of this length, with any number of addresses."""


@lru_cache(maxsize=4096)
def read_address(text: str | None) -> Address | None:
    """Return the address in `text`, which may have brackets, a port, a zone or quotation marks; or None.

    An IPv4 address that is written as an IPv6 one, such as ::ffff:192.0.2.7, is the IPv4 address.
    """
    plain = (text or "").strip().strip('"')
    if match := _WITH_PORT.fullmatch(plain):
        plain = match["six"] or match["four"]
    try:
        return unmapped(ipaddress.ip_address(plain.partition("%")[0]))
    except ValueError:
        return None


def unmapped(address: Address) -> Address:
    """Return an IPv4 address that is written as an IPv6 one in its own form; others as they are."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=4096)
def limit_key(text: str | None) -> str:
    """Return what limits by address count: an IPv4 address, or the /64 network of an IPv6 address."""
    address = read_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _LIMITED_PREFIX), strict=False))
    return str(address or text or "")
