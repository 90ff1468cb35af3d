"""The person who looks at a page: read from the cookie, which is renewed while it is in use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from flask import Response, make_response, redirect, request
from sqlalchemy.exc import IntegrityError

from db.tables import ADMINISTRATORS, ROLES, Permission, Role
from service.api.current import services
from service.api.http.login_cookie import cookie_claims, set_cookie
from service.api.http.request_context import current_context
from service.domain.accounts import logins
from service.domain.accounts.tokens import CookieClaims
from service.errors import Unauthenticated

RENEWED_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Visitor:
    """A logged-in person, as templates show one."""

    email: str
    role: str
    csrf_token: str
    claims: CookieClaims

    @property
    def permissions(self) -> frozenset[Permission]:
        """What the visitor's role allows."""
        return ROLES[Role(self.role)]

    @property
    def is_administrator(self) -> bool:
        """Whether an API key of the visitor may have the scope admin."""
        return self.role in ADMINISTRATORS


def current_visitor() -> Visitor | None:
    """Return who is logged in with the request's cookie; None if nobody is, or the log-in has ended."""
    try:
        claims = cookie_claims()
        if claims is None:
            return None
        user, _ = services().accounts.authenticate(claims.access)
    except Unauthenticated:
        return None
    current_context().account_id = user.id
    csrf_token = services().tokens.csrf_token(claims.access.login_id)
    return Visitor(user.email, user.role, csrf_token, claims)


def for_visitors(view: Callable[..., str]) -> Callable[..., Any]:
    """Pass the visitor to a page; send others to the log-in page, which brings them back here."""

    @wraps(view)
    def show(**arguments: Any) -> Any:  # noqa: ANN401 - any response
        visitor = current_visitor()
        if visitor is None:
            return redirect(login_address(), 303)
        response = make_response(view(visitor, **arguments))
        _renew(response, visitor.claims)
        return response

    return show


def login_address() -> str:
    """Return the address of the log-in page that leads back to the current one."""
    here = request.full_path.removesuffix("?")
    return "/login" if here == "/" else f"/login?{urlencode({'next': here})}"


def _renew(response: Response, claims: CookieClaims) -> None:
    """Replace a cookie that is a day old, so that regular visitors stay logged in."""
    if datetime.now(UTC) - claims.issued_at < RENEWED_AFTER:
        return
    tokens, access = services().tokens, claims.access
    try:
        services().transactions.run(logins.extend, tokens, access.user_id, access.login_id)
    except IntegrityError:
        return  # the account was deleted meanwhile, so the next request is rejected
    set_cookie(response, tokens.cookie_token(access.user_id, access.login_id))
