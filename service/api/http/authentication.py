"""Who is calling: Flask-HTTPAuth over our access tokens, and the roles that a view asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from apiflask import HTTPTokenAuth
from flask import g

from db.tables import Role, User
from service.api.current import services
from service.domain.accounts.tokens import AccessClaims
from service.errors import Forbidden, Unauthenticated

View = TypeVar("View", bound=Callable[..., Any])

auth = HTTPTokenAuth(
    scheme="Bearer",
    realm="riskscan",
    security_scheme_name="accessToken",
    description="The access_token that POST /api/v1/auth/login answers.",
)


@auth.verify_token  # type: ignore[untyped-decorator]  # Flask-HTTPAuth has no annotations
def _verify(token: str) -> User | None:
    if not token:
        return None
    try:
        claims = services().tokens.read_access_token(token)
        user = services().accounts.user_of(claims)
    except Unauthenticated as error:
        g.auth_error = error
        return None
    g.access_claims = claims
    return user


@auth.get_user_roles  # type: ignore[untyped-decorator]
def _roles(user: User) -> str:
    return user.role


@auth.error_handler  # type: ignore[untyped-decorator]
def _refuse(status: int) -> NoReturn:
    if status == 403:
        raise Forbidden("Your role does not allow this; ask an administrator.")
    raise refusal()


def refusal() -> Unauthenticated:
    """Return why the current request's token, or the lack of one, was not accepted."""
    known: Unauthenticated | None = g.pop("auth_error", None)
    return known or Unauthenticated(
        "This needs an access token: send `Authorization: Bearer <access_token>`, as answered by "
        "POST /api/v1/auth/login."
    )


def current_user() -> User:
    """Return the user that the current request's token speaks for."""
    user: User = g.flask_httpauth_user
    return user


def current_claims() -> AccessClaims:
    """Return the claims of the current request's access token."""
    claims: AccessClaims = g.access_claims
    return claims


def require_role(blueprint: Any, *roles: Role) -> Callable[[View], View]:  # noqa: ANN401 - APIBlueprint is untyped
    """Let only users of one of `roles` in; others get 403, callers without a token 401."""
    decorate: Callable[[View], View] = blueprint.auth_required(auth, roles=list(roles))
    return decorate
