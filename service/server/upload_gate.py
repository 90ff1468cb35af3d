"""Decides from a request's head whether the caller may send a large body, before the service receives it."""

from __future__ import annotations

from collections.abc import Mapping

from service.api.http.buffer_memory import STRANGERS
from service.domain.accounts.tokens import TokenMaker
from service.errors import TooLarge, Unauthenticated
from service.server.request_parser import Gate

_ACCOUNT_PATHS = ("/api/auth/", "/api/v1/auth/")


def upload_gate(tokens: TokenMaker, *, is_scan_open: bool, too_large: str) -> Gate:
    """Return the gate of the API; `is_scan_open` admits callers without a token to POST /scan.

    `too_large` is the detail of a 413. Header names are waitress's: AUTHORIZATION, CONTENT_LENGTH.
    """

    def admit(path: str, headers: Mapping[str, str]) -> str:
        path = "/" + path.lstrip("/")  # as waitress gives it to the application
        if path.startswith(_ACCOUNT_PATHS):
            raise TooLarge(too_large)
        if is_scan_open and path == "/scan":
            return STRANGERS
        return user_of(headers, tokens)

    return admit


def user_of(headers: Mapping[str, str], tokens: TokenMaker) -> str:
    """Return the id of the credential's user, without a database query.

    The view authenticates again, since the credential may have been revoked.

    Raises:
        Unauthenticated: the credential is missing, forged or expired; the message says what to send.
    """
    scheme, _, token = headers.get("AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(
            "A body of this size needs an access token: send `Authorization: Bearer <access_token>`, "
            "from POST /api/v1/auth/login."
        )
    return str(tokens.read_access_token(token.strip()).user_id)
