"""/.well-known/security.txt (RFC 9116): to whom people report a vulnerability of this installation."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from flask import Response

from service.api.current import services
from service.errors import NotFound

PATH = "/.well-known/security.txt"
LIFE = timedelta(days=30)
"""How long readers may trust a copy; the RFC recommends less than a year."""


def security_txt() -> Response:
    """Return the contacts in SECURITY_CONTACT; NotFound if there are none."""
    config = services().config
    if not config.security_contact:
        raise NotFound("This installation names no security contact (SECURITY_CONTACT).")
    expires = datetime.combine(datetime.now(UTC).date() + LIFE, time(), UTC)
    fields = [("Contact", contact) for contact in config.security_contact]
    fields.append(("Expires", expires.strftime("%Y-%m-%dT%H:%M:%SZ")))
    if config.public_url.startswith("https://"):
        fields.append(("Canonical", config.public_url + PATH))
    text = "".join(f"{name}: {value}\n" for name, value in fields)
    return Response(text, content_type="text/plain; charset=utf-8")
