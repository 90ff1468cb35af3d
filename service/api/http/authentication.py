"""Authentication: Flask-HTTPAuth with our access tokens."""

from __future__ import annotations

from typing import NoReturn

from apiflask import HTTPTokenAuth
from flask import g, request

from db.tables import User
from service.api.current import services
from service.api.http.request_context import current_context
from service.domain.accounts.tokens import AccessClaims
from service.errors import Forbidden, Unauthenticated

auth = HTTPTokenAuth(
    scheme="Bearer",
    realm="riskscan",
    security_scheme_name="accessToken",
    description="The access_token from POST /api/v1/auth/login.",
)


@auth.verify_token  # type: ignore[untyped-decorator]  # Flask-HTTPAuth has no annotations
def _verify(token: str) -> User | None:
    if not token:
        return None
    try:
        claims = services().tokens.read_access_token(token)
        user = services().accounts.authenticate(claims)
    except Unauthenticated as error:
        current_context().token_error = error
        return None
    current_context().claims = claims
    current_context().account_id = user.id
    return user


@auth.get_user_roles  # type: ignore[untyped-decorator]
def _roles(user: User) -> str:
    return user.role


@auth.error_handler  # type: ignore[untyped-decorator]
def _reject(status: int) -> NoReturn:
    if status == 403:
        raise Forbidden("Your role does not allow this. Ask an administrator.")
    raise authentication_error()


def authentication_error() -> Unauthenticated:
    """Return the reason why the current request is not authenticated."""
    return current_context().token_error or Unauthenticated(
        "This path requires an access token. Log in with POST /api/v1/auth/login, and send "
        "`Authorization: Bearer <access_token>`."
    )


def current_user() -> User:
    """Return the account of the current request's token."""
    user: User = g.flask_httpauth_user
    return user


def current_claims() -> AccessClaims:
    """Return the claims of the current request's access token."""
    claims = current_context().claims
    if claims is None:
        raise authentication_error()
    return claims


def caller_key() -> str:
    """Return the caller as limits count them: the account's id, or without one the client's address."""
    return str(current_user().id) if auth.current_user else request.remote_addr or ""
