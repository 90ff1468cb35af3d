"""Log-in by single sign-on: to the provider, and back.

A signed cookie of ten minutes holds what the provider's answer must match. It is SameSite=Lax, so that the
browser sends it when the provider leads back here.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any

from flask import Response, make_response, redirect, render_template, request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from service.api.current import services
from service.api.http.authentication import caller_key
from service.api.http.login_cookie import set_cookie
from service.api.http.quotas import spend
from service.api.http.request_context import current_context
from service.domain.accounts.oidc_provider import CALLBACK
from service.errors import NotConfigured, RiskscanError, Unauthenticated
from service.web import sso_log_out
from service.web.login import login_form, next_address

COOKIE = "riskscan_sso"
_LIFE_S = 600
_EXPIRED = (
    "This log-in has expired, or another window began it. Start the log-in again from this page."
)


def start() -> Response:
    """Send the visitor to the provider."""
    flow = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
    try:
        _require_sso()
        spend(services().login_quota, f"login {caller_key()}")
        address = services().single_sign_on.provider.authorization_url(**flow)
    except RiskscanError as error:
        return login_form(error)
    response = make_response(redirect(address, 303))
    value = _serializer().dumps({**flow, "next": next_address()})
    response.set_cookie(COOKIE, value, **_attributes(), max_age=_LIFE_S)
    return response


def finish() -> Response:
    """Begin a log-in from the provider's answer."""
    try:
        _require_sso()
        spend(services().login_quota, f"login {caller_key()}")
        response = _log_in()
    except RiskscanError as error:
        response = login_form(error)
    response.delete_cookie(COOKIE, **_attributes())
    response.headers["Cache-Control"] = "no-store"
    return response


def _log_in() -> Response:
    sso, flow = services().single_sign_on, _flow()
    state = request.args.get("state", "")
    if flow is None or not hmac.compare_digest(state.encode(), flow["state"].encode()):
        sso.record_failure("wrong state")
        raise Unauthenticated(_EXPIRED)
    if "code" not in request.args:
        sso.record_failure("refused by the provider")
        raise Unauthenticated(
            "The single sign-on provider refused the log-in. Ask its administrator whether "
            "you may use Riskscan."
        )
    login = sso.log_in(request.args["code"], nonce=flow["nonce"], verifier=flow["verifier"])
    pair = login.tokens
    current_context().account_id = pair.user_id
    tokens = services().tokens
    login_id = tokens.read_access_token(pair.access_token).login_id
    # A redirect would count as the provider's, so the browser would not send the SameSite=Strict cookie.
    response = make_response(render_template("signed_in.html", address=flow["next"]))
    set_cookie(response, tokens.cookie_token(pair.user_id, login_id))
    sso_log_out.remember(response, login.id_token)
    return response


def _flow() -> dict[str, str] | None:
    try:
        flow: dict[str, str] = _serializer().loads(request.cookies.get(COOKIE, ""), max_age=_LIFE_S)
    except BadSignature:
        return None
    return flow


def _require_sso() -> None:
    if not services().config.oidc_issuer:
        raise NotConfigured("Single sign-on is not configured; the operator sets OIDC_ISSUER.")


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(services().signing_config.secret_key, salt="single-sign-on")


def _attributes() -> dict[str, Any]:
    is_secure = services().config.public_url.startswith("https:")
    path = CALLBACK.rpartition("/")[0]
    return {"path": path, "secure": is_secure, "httponly": True, "samesite": "Lax"}
