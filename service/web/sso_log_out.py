"""Log-out at the single sign-on provider, for log-ins that began there.

A cookie that browsers send to /logout alone holds the provider's ID token, which names the log-in there. The
service does not store it.
"""

from __future__ import annotations

import logging
from typing import Any

from flask import Response, request

from service.api.current import services
from service.errors import SsoUnavailable

COOKIE = "riskscan_sso_log_out"
PATH = "/logout"
MAX_ID_TOKEN_CHARS = 3_500
"""Browsers drop a cookie of more than 4,096 bytes. Without the token, the provider may ask the visitor."""
_LONGEST_LIFE_S = 400 * 24 * 3600
"""The longest life that browsers give a cookie, since a log-in that is in use has no end."""
_WITHOUT_HINT = "-"
_log = logging.getLogger(__name__)


def remember(response: Response, id_token: str) -> None:
    """Give the browser the cookie of a log-in that began at the provider."""
    value = id_token if len(id_token) <= MAX_ID_TOKEN_CHARS else _WITHOUT_HINT
    response.set_cookie(COOKIE, value, **_attributes(), max_age=_LONGEST_LIFE_S)


def forget(response: Response) -> None:
    """Remove the cookie."""
    response.delete_cookie(COOKIE, **_attributes())


def address() -> str | None:
    """Return the address at the provider that ends the log-in there.

    None if it began elsewhere, or the provider has no such address, or does not answer.
    """
    value = request.cookies.get(COOKIE)
    if not value or not services().config.oidc_issuer:
        return None
    id_token = "" if value == _WITHOUT_HINT else value
    try:
        return services().single_sign_on.provider.log_out_url(id_token)
    except SsoUnavailable as error:
        _log.warning("a log-out did not reach the single sign-on provider: %s", error.message)
        return None


def _attributes() -> dict[str, Any]:
    is_secure = services().config.public_url.startswith("https:")
    return {"path": PATH, "secure": is_secure, "httponly": True, "samesite": "Strict"}
