"""PASSWORD_LOGIN=off: people log in by single sign-on only."""

from __future__ import annotations

from service.api.current import services
from service.errors import Forbidden


def require_password_login() -> None:
    """Raise Forbidden if PASSWORD_LOGIN is off."""
    if services().config.password_login == "off":  # noqa: S105 - a switch, not a password
        raise Forbidden(
            "People log in to this service by single sign-on only, on its log-in page. Programs use API keys."
        )
