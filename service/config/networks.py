"""A network of the Internet Protocol, version 4 or 6. Imports nothing heavy: the sidecar needs it."""

from __future__ import annotations

import ipaddress

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
