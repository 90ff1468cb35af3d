"""Decides from a request's head whether the caller may send a large body, before the service receives it."""

from __future__ import annotations

from collections.abc import Mapping

from service.domain.accounts.tokens import TokenMaker
from service.errors import TooLarge, Unauthenticated
from service.server.memory_budget import ANONYMOUS
from service.server.request_parser import UploadAuthorizer

_ACCOUNT_PATHS = ("/api/auth/", "/api/v1/auth/")


def upload_authorizer(
    tokens: TokenMaker, *, is_scan_open: bool, too_large_detail: str
) -> UploadAuthorizer:
    """Return the authorizer of the API; `is_scan_open` lets callers without a token use POST /scan.

    Header names are waitress's: AUTHORIZATION, CONTENT_LENGTH.
    """

    def authorize(path: str, headers: Mapping[str, str]) -> str:
        path = "/" + path.lstrip("/")  # the application sees it in this form
        if path.startswith(_ACCOUNT_PATHS):
            raise TooLarge(too_large_detail)
        if is_scan_open and path == "/scan":
            return ANONYMOUS
        return _authenticate(headers, tokens)

    return authorize


def _authenticate(headers: Mapping[str, str], tokens: TokenMaker) -> str:
    """Return the id of the token's user, without a database query.

    The view authenticates again, since the token may have been revoked.

    Raises:
        Unauthenticated: the token is missing, forged or expired; the message says what to send.
    """
    scheme, _, token = headers.get("AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(
            "A body of this size needs an access token: send `Authorization: Bearer <access_token>`, "
            "from POST /api/v1/auth/login."
        )
    return str(tokens.read_access_token(token.strip()).user_id)
