"""Authentication: Flask-HTTPAuth with our access tokens and API keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from apiflask import APIKeyHeaderAuth, HTTPTokenAuth, MultiAuth
from flask import g, request

from db.tables import User
from service.api.current import services
from service.api.http.key_scopes import check_scope
from service.api.http.quotas import spend
from service.api.http.request_context import current_context
from service.domain.accounts.tokens import AccessClaims
from service.domain.preferences import Preferences
from service.errors import Forbidden, Unauthenticated
from service.observability.client_address import limit_key

_REALM = "riskscan"


class _TokenAuth(HTTPTokenAuth):
    """An access token; the account's role must be one of the route's."""

    def authorize(self, role: Sequence[str] | None, user: User, _auth: object) -> bool:
        _check_role(user, role)
        return True


class _KeyAuth(APIKeyHeaderAuth):
    """An API key in a header; the route must accept a scope that the key has, and the account's role."""

    def is_compatible_auth(self, headers: Any) -> bool:  # noqa: ANN401 - werkzeug's
        if self.header != "Authorization":
            return bool(self.header in headers)
        authorization: str = headers.get("Authorization", "")
        return authorization.lower().startswith(f"{self.scheme.lower()} ")

    def authorize(self, role: Sequence[str] | None, user: User, _auth: object) -> bool:
        grant = current_context().key_grant
        check_scope(grant.scopes if grant else frozenset())
        _check_role(user, role)
        return True


def _check_role(user: User, allowed: Sequence[str] | None) -> None:
    if allowed is not None and user.role not in allowed:
        raise Forbidden.for_role(user.role, "this", allowed=allowed)


_token_auth = _TokenAuth(
    scheme="Bearer",
    realm=_REALM,
    security_scheme_name="accessToken",
    description="The access_token from POST /api/v1/auth/login.",
)
_key_auths = (
    _KeyAuth(
        realm=_REALM,
        security_scheme_name="apiKey",
        description="An API key from POST /api/v1/auth/keys.",
    ),
    _KeyAuth(
        param_name="Authorization",
        realm=_REALM,
        security_scheme_name="apiKeyAuthorization",
        description="An API key from POST /api/v1/auth/keys, as `ApiKey <key>`.",
    ),
)
auth = MultiAuth(_token_auth, *_key_auths)


@_token_auth.verify_token  # type: ignore[untyped-decorator]  # Flask-HTTPAuth has no annotations
def _verify_token(token: str) -> User | None:
    context = current_context()
    try:
        claims = services().tokens.read_access_token(token)
        user, context.preferences = services().accounts.authenticate(claims)
    except Unauthenticated as error:
        context.token_error = error
        return None
    context.claims = claims
    context.account_id = user.id
    spend(services().user_quota, str(user.id))
    return user


def _verify_key(text: str) -> User | None:
    context = current_context()
    try:
        user, context.preferences, context.key_grant = services().api_keys.authenticate(text)
    except Unauthenticated as error:
        context.token_error = error
        return None
    context.account_id = user.id
    spend(services().key_quota, str(context.key_grant.key_id))
    spend(services().user_quota, str(user.id))
    return user


def _reject(_status: int) -> NoReturn:
    raise authentication_error()


for _auth in (_token_auth, *_key_auths):
    _auth.error_handler(_reject)
for _auth in _key_auths:
    _auth.verify_token(_verify_key)


def authentication_error() -> Unauthenticated:
    """Return the reason why the current request is not authenticated."""
    return current_context().token_error or Unauthenticated(
        "This path requires an access token or an API key. Log in with POST /api/v1/auth/login, and send "
        "`Authorization: Bearer <access_token>`."
    )


def current_user() -> User:
    """Return the account of the current request's token or key."""
    user: User = g.flask_httpauth_user
    return user


def current_preferences() -> Preferences:
    """Return the settings of the current request's account, or the defaults without an account."""
    return current_context().preferences


def current_claims() -> AccessClaims:
    """Return the claims of the current request's access token."""
    claims = current_context().claims
    if claims is None:
        raise authentication_error()
    return claims


def caller_key() -> str:
    """Return the caller as limits count them: the account's id, or without one the client by `limit_key`."""
    return str(current_user().id) if auth.current_user else limit_key(request.remote_addr)
