"""Decides from a request's head whether the caller may send a large body, before the service receives it."""

from __future__ import annotations

from collections.abc import Mapping

from service.api.http.login_cookie import cookie_value
from service.domain.accounts.tokens import TokenMaker
from service.domain.api_keys.key_text import KeyMaker
from service.errors import TooLarge, Unauthenticated
from service.server.memory_budget import ANONYMOUS
from service.server.request_parser import UploadAuthorizer

_ACCOUNT_PATHS = ("/api/auth/", "/api/v1/auth/")


def upload_authorizer(
    tokens: TokenMaker, keys: KeyMaker, *, is_scan_open: bool, too_large_detail: str
) -> UploadAuthorizer:
    """Return the authorizer of the API; `is_scan_open` lets callers without a token use POST /scan.

    Header names are waitress's: AUTHORIZATION, X_API_KEY, CONTENT_LENGTH.
    """

    def authorize(path: str, headers: Mapping[str, str]) -> str:
        path = "/" + path.lstrip("/")  # the application sees it in this form
        if path.startswith(_ACCOUNT_PATHS):
            raise TooLarge(too_large_detail)
        if is_scan_open and path == "/scan":
            return ANONYMOUS
        return _authenticate(headers, tokens, keys)

    return authorize


def _authenticate(headers: Mapping[str, str], tokens: TokenMaker, keys: KeyMaker) -> str:
    """Return the id of the account of the token or API key, without a database query.

    The view authenticates again, since token or key may have been revoked, and checks a page's CSRF token.

    Raises:
        Unauthenticated: token or key is missing, forged or expired; the message says what to send.
    """
    scheme, _, credential = headers.get("AUTHORIZATION", "").partition(" ")
    scheme, credential = scheme.lower(), credential.strip()
    if scheme == "bearer" and credential:
        return str(tokens.read_access_token(credential).user_id)
    key = headers.get("X_API_KEY") or (credential if scheme == "apikey" else "")
    if key:
        return str(keys.read(key))
    if not scheme and (cookie := cookie_value(headers.get("COOKIE", ""))):
        return str(tokens.read_cookie_token(cookie).access.user_id)
    raise Unauthenticated(
        "A body of this size needs an access token or an API key: send "
        "`Authorization: Bearer <access_token>`, from POST /api/v1/auth/login, or `X-API-Key: <key>`."
    )
