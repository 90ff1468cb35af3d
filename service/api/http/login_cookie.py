"""Log-ins of browsers: the API accepts their cookie, for changes only together with the page's CSRF token.

The cookie is HttpOnly and SameSite=Strict; pages get the CSRF token in their markup. A request with a valid
cookie continues as if it had brought an access token, so the views know one kind of log-in only.
"""

from __future__ import annotations

from typing import Any

from apiflask import APIFlask
from flask import Response, request

from service.api.current import services
from service.api.http.cookies import read_cookies
from service.api.http.request_context import current_context
from service.domain.accounts.tokens import CookieClaims
from service.errors import Forbidden, Unauthenticated

COOKIE = "riskscan_login"
CSRF_HEADER = "X-CSRF-Token"
_CREDENTIALS = ("Authorization", "X-API-Key")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_CSRF_REFUSED = (
    f"A change with a browser's cookie needs the header {CSRF_HEADER} with the token of its page. Reload "
    "the page; other clients log in with POST /api/v1/auth/login and send the access token."
)


def register(app: APIFlask) -> None:
    """Let requests to the API authenticate by cookie."""
    app.before_request(_exchange_for_access_token)


def cookie_value(header: str) -> str:
    """Return the value of the log-in cookie in a Cookie header; empty if there is none."""
    return read_cookies(header).get(COOKIE, "")


def cookie_claims() -> CookieClaims | None:
    """Return the claims of the request's cookie; None without a cookie.

    Raises:
        Unauthenticated: the cookie has expired or is not ours.
    """
    value = request.cookies.get(COOKIE)
    return services().tokens.read_cookie_token(value) if value else None


def set_cookie(response: Response, token: str) -> None:
    """Give the browser a cookie that scripts cannot read and other sites cannot send."""
    response.set_cookie(COOKIE, token, **_attributes(), max_age=services().tokens.refresh_life)


def delete_cookie(response: Response) -> None:
    """Remove the cookie from the browser."""
    response.delete_cookie(COOKIE, **_attributes())


def _attributes() -> dict[str, Any]:
    return {"path": "/", "secure": request.is_secure, "httponly": True, "samesite": "Strict"}


def _exchange_for_access_token() -> None:
    is_api = request.path.startswith("/api/") or request.path == "/scan"
    if not is_api or any(name in request.headers for name in _CREDENTIALS):
        return
    try:
        claims = cookie_claims()
    except Unauthenticated as error:
        current_context().token_error = error
        return
    if claims is None:
        return
    tokens, access = services().tokens, claims.access
    sent = request.headers.get(CSRF_HEADER, "")
    if request.method not in _SAFE_METHODS and not tokens.is_csrf_token(sent, access.login_id):
        raise Forbidden(_CSRF_REFUSED)
    token = tokens.access_token(access.user_id, access.login_id)
    request.environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
