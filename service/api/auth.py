"""/api/v1/auth: registration, log-in, tokens, and the caller's account, password and log-ins."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response
from marshmallow import RAISE

from db.queries.teams import list_teams
from db.queries.users import live_logins
from db.tables import Login, Scope, User
from service.api.current import services
from service.api.http.authentication import auth, current_claims, current_user
from service.api.http.data_export import ARCHIVE, data_export
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, cursor_page
from service.api.http.password_login import require_password_login
from service.api.http.rate_limits import limit_logins
from service.api.http.request_context import current_context
from service.api.schemas.accounts import (
    AccountDeletionIn,
    LoginIn,
    LoginListOut,
    MeOut,
    PasswordIn,
    RefreshIn,
    RegisterIn,
    TokensOut,
    UserOut,
)
from service.api.schemas.fields import CursorQuery
from service.api.schemas.users import PasswordByLinkIn
from service.domain.accounts import logins
from service.domain.accounts.logins import TokenPair
from service.domain.audit import Actor
from service.errors import Forbidden

blueprint = APIBlueprint("auth", __name__, url_prefix="/api/v1/auth", tag="Accounts")
_REGISTRATION_CLOSED = (
    "Registration is closed. Ask an administrator for an account. The operator creates accounts with "
    "`python -m service users create EMAIL`, or opens registration with REGISTRATION=open."
)
_ACCOUNT = ("id", "email", "role", "created_at", "changed_at")
_MAX_TEAMS = 100
_NO_STORE = {"Cache-Control": "no-store"}


@blueprint.post("/register")
@blueprint.input(RegisterIn, location="json_or_form", arg_name="body")
@blueprint.output(UserOut, status_code=201)
@blueprint.doc(summary="Create an account", responses=[403, 409, 429])
@limit_logins("register")
def register(body: dict[str, str]) -> User:
    require_password_login()
    if services().config.registration == "closed":
        raise Forbidden(_REGISTRATION_CLOSED)
    user = services().accounts.register(body["email"], body["password"])
    current_context().account_id = user.id
    return user


@blueprint.post("/login")
@blueprint.input(LoginIn, location="json_or_form", arg_name="body")
@blueprint.output(TokensOut)
@blueprint.doc(summary="Exchange a password for tokens", responses=[401, 403, 429])
@limit_logins("login")
def login(body: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    require_password_login()
    address = body.get("username") or body["email"]
    return _token_fields(services().accounts.log_in(address, body["password"])), _NO_STORE


@blueprint.post("/refresh")
@blueprint.input(RefreshIn, location="json_or_form", arg_name="body")
@blueprint.output(TokensOut)
@blueprint.doc(
    summary="Exchange a refresh token for a new access and refresh token", responses=[401]
)
def refresh(body: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    return _token_fields(services().accounts.refresh(body["refresh_token"])), _NO_STORE


@blueprint.post("/logout")
@blueprint.auth_required(auth)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="End this log-in and revoke its access and refresh tokens")
def logout() -> str:
    claims = current_claims()
    services().transactions.run(logins.end, claims.user_id, claims.login_id)
    return ""


@blueprint.get("/me")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.output(MeOut)
@blueprint.doc(summary="Get the caller's account")
def me() -> dict[str, Any]:
    user = current_user()
    teams = services().transactions.read(list_teams, member_id=user.id, limit=_MAX_TEAMS)
    return {**{name: getattr(user, name) for name in _ACCOUNT}, "teams": teams}


@blueprint.delete("/me")
@blueprint.auth_required(auth)
@blueprint.input(AccountDeletionIn, location="json", arg_name="body")
@blueprint.output({}, status_code=204)
@blueprint.doc(
    summary="Delete the caller's account with all that it owns",
    description="For good. Verdicts on other people's scans stay, under the account's id.",
    responses=[409, 429],
)
@limit_logins("account deletion")
def delete_me(body: dict[str, str]) -> str:
    user = current_user()
    services().accounts.confirm_password(user, body["password"])
    services().account_deletion.delete(user.id, actor=Actor(user.id))
    return ""


@blueprint.get("/me/data")
@blueprint.auth_required(auth)
@blueprint.doc(
    summary="Download everything that is stored about the caller",
    description="An archive of JSON lines, texts and files, which the service reads while it sends it.",
    responses=ARCHIVE,
)
def my_data() -> Response:
    return data_export(current_user().id)


@blueprint.put("/password")
@blueprint.auth_required(auth)
@blueprint.input(PasswordIn, location="json_or_form", arg_name="body")
@blueprint.output({}, status_code=204)
@blueprint.doc(
    summary="Change the password",
    description="Ends all other log-ins of the account. The current one stays valid.",
    responses=[403, 409, 429],
)
@limit_logins("password")
def change_password(body: dict[str, str]) -> str:
    require_password_login()
    passwords = {"current": body["current_password"], "new": body["new_password"]}
    services().accounts.change_password(current_user(), current_claims(), **passwords)
    return ""


@blueprint.post("/password/link")
@blueprint.input(PasswordByLinkIn, location="json", arg_name="body")
@blueprint.output({}, status_code=204)
@blueprint.doc(
    summary="Choose a password with a link from an administrator",
    description="Ends the account's log-ins and deletes its API keys. The link works once.",
    responses=[403, 429],
)
@limit_logins("password link")
def set_password_by_link(body: dict[str, str]) -> str:
    require_password_login()
    user = services().password_links.set_password(body["token"], body["password"])
    current_context().account_id = user.id
    return ""


@blueprint.get("/logins")
@blueprint.auth_required(auth)
@blueprint.input(CursorQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(LoginListOut)
@blueprint.doc(summary="List the caller's active log-ins, newest first")
def list_logins(query: dict[str, Any]) -> Listing:
    claims, read = current_claims(), services().transactions.read
    return cursor_page(
        query,
        lambda **page: read(live_logins, claims.user_id, **page),
        show=partial(_login_fields, claims.login_id),
    )


@blueprint.delete("/logins")
@blueprint.auth_required(auth)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="End all of the caller's log-ins, including the current one")
def delete_logins() -> str:
    services().transactions.run(logins.end_all, current_claims().user_id)
    return ""


@blueprint.delete("/logins/<uuid:login_id>")
@blueprint.auth_required(auth)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="End one of the caller's log-ins, such as that of a lost device")
def delete_login(login_id: UUID) -> str:
    services().transactions.run(logins.end, current_claims().user_id, login_id)
    return ""


def _login_fields(current_id: UUID, login: Login) -> dict[str, Any]:
    return {
        "id": login.id,
        "created_at": login.created_at,
        "last_used_at": login.last_used_at,
        "client_address": login.client_address,
        "is_current": login.id == current_id,
    }


def _token_fields(pair: TokenPair) -> dict[str, Any]:
    current_context().account_id = pair.user_id
    return {
        "access_token": pair.access_token,
        "token_type": "bearer",
        "expires_in": pair.expires_in_s,
        "refresh_token": pair.refresh_token,
    }
