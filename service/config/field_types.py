"""Types of settings beyond pydantic's own.

A validator's message completes a sentence that starts with the setting's name, and never quotes the value.
"""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from service.config import database_address
from service.config.networks import IpNetwork

ROOT = Path(__file__).resolve().parents[2]
"""The project's root folder; relative paths in settings start here."""
MIN_SECRET_CHARS = 32

_ORIGIN = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:\d{1,5})?")

_CONTACT = re.compile(
    r"mailto:[!-~]+@[!-~]+|https://[!-~]+|tel:\+[0-9-]+"
)  # RFC 9116, section 2.5.3


def _absolute(path: Path) -> Path:
    return (ROOT / path).resolve()


def _existing_file(value: str) -> str:
    path = _absolute(Path(value))
    if value and not (path.is_file() and os.access(path, os.R_OK)):
        raise ValueError("must name a file that this user can read")
    return str(path) if value else value


def _font_files(value: object) -> tuple[Path, ...]:
    parts = value.split(",") if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]  # the default
    paths = tuple(_absolute(Path(str(part).strip())) for part in parts if str(part).strip())
    is_font = (p.is_file() and p.suffix.lower() in {".ttf", ".otf", ".ttc"} for p in paths)
    if not all(is_font):
        raise ValueError("must list existing .ttf, .otf or .ttc files, separated by commas")
    return paths


def _device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,2})?", value):
        raise ValueError("must be one of auto, cpu, cuda, cuda:0, cuda:1 and so on")
    return value


def _service_url(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("must be an http:// or https:// address")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "must be an address without user, password or query; keys have their own settings"
        )
    return value.rstrip("/")


def _origins(value: object) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]  # the default
    origins = tuple(part.strip().rstrip("/") for part in parts if part.strip())
    if not all(_ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError(
            "must list origins such as http://localhost:5173, separated by commas; * is not allowed"
        )
    return origins


def _names(value: object) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]  # the default
    return tuple(part.strip().lower() for part in parts if part.strip())


def _networks(value: object) -> tuple[IpNetwork, ...]:
    parts = value.split(",") if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]  # the default
    try:
        return tuple(ipaddress.ip_network(str(part).strip()) for part in parts if str(part).strip())
    except ValueError:
        # Names and * are refused: a name would match nobody, * everybody.
        raise ValueError(
            "must list IP addresses such as 127.0.0.1 or networks such as 10.0.0.0/8, separated by commas"
        ) from None


def _proxies(value: tuple[IpNetwork, ...]) -> tuple[IpNetwork, ...]:
    if any(network.prefixlen == 0 for network in value):
        raise ValueError("must not trust every address: each client could then name its own")
    return value


def _contacts(value: object) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]  # the default
    contacts = tuple(part.strip() for part in parts if part.strip())
    if not all(_CONTACT.fullmatch(contact) for contact in contacts):
        raise ValueError(
            "must list addresses such as mailto:security@example.com, https://example.com/security or "
            "tel:+1-201-555-0123, separated by commas"
        )
    return contacts


def _rate(value: str) -> str:
    if value and not re.fullmatch(r"\d+ per (second|minute|hour|day)", value):
        raise ValueError('must read like "10 per minute", or be empty for no limit')
    return value


def _rate_limit_storage(value: str) -> str:
    if not re.fullmatch(r"memory://|rediss?://[^/]+(/\d*)?", value):
        raise ValueError("must be memory:// or read like redis://:password@host:6379/0")
    return value


def _redis_url(value: str) -> str:
    if value and not re.fullmatch(r"rediss?://[^/]+(/\d*)?", value):
        raise ValueError("must read like redis://:password@host:6379/0")
    return value


def _broker_url(value: str) -> str:
    if value and not re.fullmatch(r"(rediss?|amqps?)://[^/]+(/.*)?", value):
        raise ValueError(
            "must read like redis://:password@host:6379/0 or amqp://user:password@host:5672/vhost"
        )
    return value


def _signing_key(value: str) -> str:
    if value and len(value) < MIN_SECRET_CHARS:
        raise ValueError(
            f"must have at least {MIN_SECRET_CHARS} characters; run `openssl rand -hex 32` for a new one"
        )
    return value


Text = Annotated[str, AfterValidator(str.strip)]
Secret = Annotated[str, AfterValidator(str.strip), Field(repr=False)]
"""A value that no output shows; the file that NAME_FILE names may hold it."""
SigningKey = Annotated[Secret, AfterValidator(_signing_key)]
RateLimitStorage = Annotated[Secret, AfterValidator(_rate_limit_storage)]
RedisUrl = Annotated[Secret, AfterValidator(_redis_url)]
BrokerUrl = Annotated[Secret, AfterValidator(_broker_url)]
DatabaseUrl = Annotated[Secret, AfterValidator(database_address.normalize)]
ProjectPath = Annotated[Path, AfterValidator(_absolute)]
ExistingFile = Annotated[Text, AfterValidator(_existing_file)]
"""An absolute path, or empty."""
FontFiles = Annotated[tuple[Path, ...], BeforeValidator(_font_files)]
"""Absolute paths of font files, separated by commas."""
Device = Annotated[str, AfterValidator(_device)]
ServiceUrl = Annotated[str, AfterValidator(_service_url)]
Origins = Annotated[tuple[str, ...], BeforeValidator(_origins)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
"""Names in lower case, separated by commas."""
Contacts = Annotated[tuple[str, ...], BeforeValidator(_contacts)]
"""Addresses of the schemes mailto, https and tel, separated by commas."""
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[str, AfterValidator(_rate)]
Networks = Annotated[tuple[IpNetwork, ...], BeforeValidator(_networks)]
"""Networks in CIDR notation and single addresses, separated by commas."""
Proxies = Annotated[Networks, AfterValidator(_proxies)]
