"""What the text of a setting may be: each parser returns its value or raises ValueError.

The message completes a sentence that begins with the setting's name, and never quotes a secret.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
MIN_SECRET_CHARS = 32


def text(value: str) -> str:
    """Return the text without the space around it."""
    return value.strip()


def flag(value: str) -> bool:
    """Return whether it says yes."""
    known = {"true": True, "1": True, "false": False, "0": False}
    if value.lower() not in known:
        raise ValueError("is true, false, 1 or 0")
    return known[value.lower()]


def integer(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of whole numbers within these bounds, both inclusive."""

    def parse(value: str) -> int:
        if not re.fullmatch(r"\d{1,15}", value) or not low <= int(value) <= high:
            raise ValueError(f"is a whole number from {low} to {high}")
        return int(value)

    return parse


def optional(parse: Callable[[str], T]) -> Callable[[str], T | None]:
    """Return a parser that reads nothing as None."""
    return lambda value: parse(value) if value else None


def address(value: str) -> str:
    """Return the IP address in its usual spelling; nothing stays nothing."""
    if not value:
        return value
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        # It is compared with the peer's address: a name would match nobody, * everybody.
        raise ValueError("is one IP address such as 127.0.0.1, no name and no *") from None


def choice(*allowed: str) -> Callable[[str], str]:
    """Return a parser that takes these words alone."""

    def parse(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"is one of {', '.join(allowed)}")
        return value

    return parse


def device(value: str) -> str:
    """Parse a device: auto, cpu, cuda or cuda:N."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,2})?", value):
        raise ValueError("is one of auto, cpu, cuda, cuda:0, cuda:1 and so on")
    return value


def url(value: str) -> str:
    """Return the address of a web service without a slash at its end."""
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("is an http:// or https:// address")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "is an address without user, password or query; keys have their own settings"
        )
    return value.rstrip("/")


def origins(value: str) -> tuple[str, ...]:
    """Return the origins of a list separated by commas."""
    listed = tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
    if any(not _is_origin(origin) for origin in listed):
        raise ValueError(
            "lists origins such as http://localhost:5173, separated by commas; never *"
        )
    return listed


def rate(value: str) -> str:
    """Return the rate, or nothing for no limit."""
    if value and not re.fullmatch(r"\d+ per (second|minute|hour|day)", value):
        raise ValueError('reads like "10 per minute", or is empty for no limit')
    return value


def secret(value: str) -> str:
    """Return the secret, long enough or nothing."""
    if value and len(value) < MIN_SECRET_CHARS:
        raise ValueError(
            f"needs at least {MIN_SECRET_CHARS} characters; `openssl rand -hex 32` makes one"
        )
    return value


def _is_origin(value: str) -> bool:
    return (
        re.fullmatch(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:\d{1,5})?", value) is not None
    )
