"""Headers of every response that tell browsers what to refuse.

Imports no web framework: the HTTP server uses them too.
"""

from __future__ import annotations

NO_STORE = "no-store"
"""For responses that quote documents or contain tokens. Clients may still send the ETag."""
_DATA_ONLY = "default-src 'none'; frame-ancestors 'none'"
_NO_DEVICES = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
_A_YEAR_S = 365 * 24 * 3600
FIXED = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Permissions-Policy", _NO_DEVICES),
)
DEFAULTS = (
    ("Content-Security-Policy", _DATA_ONLY),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", NO_STORE),
)
"""Pages need others."""
HSTS = ("Strict-Transport-Security", f"max-age={_A_YEAR_S}")
"""A browser that has visited once uses TLS for a year."""


def security_headers(*, is_https: bool) -> list[tuple[str, str]]:
    """Return the headers of a response that is no page; HSTS is for HTTPS only (RFC 6797, section 7.2)."""
    return [*FIXED, *DEFAULTS, *([HSTS] if is_https else [])]
