"""The forms of /login, /register and /password, and log-out. The first two work without scripts."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from flask import Response, make_response, redirect, render_template, request

from service.api.current import services
from service.api.http.authentication import caller_key
from service.api.http.login_cookie import COOKIE, delete_cookie, set_cookie
from service.api.http.password_login import require_password_login
from service.api.http.quotas import spend
from service.api.http.request_context import current_context
from service.domain.accounts import logins
from service.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    RateLimited,
    RiskscanError,
    Unauthenticated,
)
from service.web import sso_log_out
from service.web.visitor import current_visitor

_SHOWN = (Conflict, Forbidden, InvalidRequest, RateLimited, Unauthenticated)
_LOCAL_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")
_FOREIGN = (
    "This form was sent by another site. Open the page of this service and send it from there."
)


def login_page() -> Response:
    """Show the log-in form; redirect a visitor who is logged in already."""
    if current_visitor() is not None:
        return _redirect_back()
    return login_form()


def log_in() -> Response:
    """Begin a log-in from the form's address and password."""
    _require_own_form()
    try:
        require_password_login()
        spend(services().login_quota, f"login {caller_key()}")
        return _begin(request.form.get("email", ""), request.form.get("password", ""))
    except _SHOWN as error:
        return login_form(error)


def register_page() -> Response:
    """Show the registration form, if registration is open."""
    _require_registration()
    return _redirect_back() if current_visitor() is not None else _form("register.html")


def sign_up() -> Response:
    """Create an account and log in."""
    _require_own_form()
    _require_registration()
    email, password = request.form.get("email", ""), request.form.get("password", "")
    try:
        spend(services().login_quota, f"register {caller_key()}")
        services().accounts.register(email, password)
        return _begin(email, password)
    except _SHOWN as error:
        return _form("register.html", error)


def password_page() -> Response:
    """Show the form of a link with which people choose a password; its script reads the link's fragment."""
    require_password_login()
    return _form("password.html")


def log_out() -> Response:
    """End the log-in: its cookie and its tokens stop working at once. Then end it at its provider."""
    visitor = current_visitor()
    if visitor is not None:
        access = visitor.claims.access
        sent = request.form.get("csrf_token", "")
        if not services().tokens.is_csrf_token(sent, access.login_id):
            raise Forbidden(_FOREIGN)
        services().transactions.run(logins.end, access.user_id, access.login_id)
    response = _logged_out()
    if COOKIE in request.cookies:  # browsers send none with another site's form
        delete_cookie(response)
    return response


def _logged_out() -> Response:
    """Lead to the log-in page, or to the provider at which the log-in began, and from there to that page."""
    at_provider = sso_log_out.address()
    if at_provider is None:
        return make_response(redirect("/login", 303))
    # A page, since the policy form-action 'self' stops a form's redirect to another site.
    response = make_response(render_template("signed_out.html", address=at_provider))
    sso_log_out.forget(response)
    return response


def _begin(email: str, password: str) -> Response:
    tokens = services().tokens
    pair = services().accounts.log_in(email, password)
    current_context().account_id = pair.user_id
    login_id = tokens.read_access_token(pair.access_token).login_id
    response = _redirect_back()
    set_cookie(response, tokens.cookie_token(pair.user_id, login_id))
    if services().config.oidc_issuer:
        sso_log_out.forget(response)  # of an earlier log-in
    return response


def _redirect_back() -> Response:
    """Redirect to the page that asked for the log-in, if it is on this site; else to the first page."""
    return make_response(redirect(next_address(), 303))


def next_address() -> str:
    """Return the page that asked for the log-in, if it is on this site; else the first page."""
    following = request.values.get("next", "")
    return following if _LOCAL_PATH.fullmatch(following) else "/"


def login_form(error: RiskscanError | None = None) -> Response:
    """Return the log-in page, with what failed."""
    return _form("login.html", error)


def _form(template: str, error: RiskscanError | None = None) -> Response:
    config = services().config
    has_passwords = config.password_login == "on"  # noqa: S105 - a switch, not a password
    page = render_template(
        template,
        error=error,
        faults={fault.field: fault.message for fault in error.faults} if error else {},
        email=request.form.get("email", ""),
        next=request.values.get("next", ""),
        is_open=config.registration == "open" and has_passwords,
        has_passwords=has_passwords,
        has_sso=bool(config.oidc_issuer),
        min_password_chars=config.min_password_length,
    )
    response = make_response(page, error.status if error else 200)
    if error and error.retry_after_s:
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _require_registration() -> None:
    require_password_login()
    if services().config.registration == "closed":
        raise NotFound("Registration is closed; ask an administrator for an account.")


def _require_own_form() -> None:
    """Reject a form of another site, which could log the visitor in to somebody else's account."""
    fetch_site = request.headers.get("Sec-Fetch-Site")
    if fetch_site is not None:
        is_own = fetch_site in {"same-origin", "none"}
    else:  # old browsers, and plain http; a proxy may drop the port from Host
        origin = urlsplit(request.headers.get("Origin", "")).hostname
        is_own = origin is not None and origin == urlsplit(f"//{request.host}").hostname
    if not is_own:
        raise Forbidden(_FOREIGN)
