"""Refuses to serve plain HTTP to other machines in production. Imports no web framework."""

from __future__ import annotations

import ipaddress

from service.config.settings import Config
from service.errors import ConfigError


def check_transport(config: Config) -> None:
    """Refuse to listen for other machines in production unless a proxy with TLS is in front.

    Raises:
        ConfigError: neither TRUSTED_PROXY nor ALLOW_PLAIN_HTTP is set, and HOST is not this machine alone.
    """
    if config.riskscan_env != "production" or config.allow_plain_http or config.trusted_proxy:
        return
    if not _is_loopback(config.host):
        raise ConfigError(
            f"HOST={config.host} would serve plain HTTP to other machines. Put a proxy with TLS in front "
            "and set TRUSTED_PROXY to its address, or set HOST=127.0.0.1; in a network that nobody else "
            "can read, set ALLOW_PLAIN_HTTP=true."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
