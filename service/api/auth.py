"""/api/v1/auth: register, log in, refresh, log out, who am I."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request

from db.models import User
from service.accounts import TokenPair
from service.auth import auth, current_claims, current_user
from service.context import services
from service.schemas import LoginIn, RefreshIn, RegisterIn, TokensOut, UserOut

blueprint = APIBlueprint("auth", __name__, url_prefix="/api/v1/auth", tag="Accounts")
_NO_STORE = {"Cache-Control": "no-store"}


@blueprint.post("/register")
@blueprint.input(RegisterIn, location="json_or_form", arg_name="body")
@blueprint.output(UserOut, status_code=201)
@blueprint.doc(summary="Create an account", responses=[409, 429])
def register(body: dict[str, str]) -> User:
    services().login_quota.spend(f"register {request.remote_addr}")
    return services().accounts.register(body["email"], body["password"])


@blueprint.post("/login")
@blueprint.input(LoginIn, location="json_or_form", arg_name="body")
@blueprint.output(TokensOut)
@blueprint.doc(summary="Exchange a password for tokens", responses=[401, 429])
def login(body: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    services().login_quota.spend(f"login {request.remote_addr}")
    address = body.get("username") or body["email"]
    return _shown(services().accounts.log_in(address, body["password"])), _NO_STORE


@blueprint.post("/refresh")
@blueprint.input(RefreshIn, location="json_or_form", arg_name="body")
@blueprint.output(TokensOut)
@blueprint.doc(summary="Exchange a refresh token for a new pair of tokens", responses=[401])
def refresh(body: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    return _shown(services().accounts.refresh(body["refresh_token"])), _NO_STORE


@blueprint.post("/logout")
@blueprint.auth_required(auth)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="End this log-in: its access and refresh tokens stop working at once")
def logout() -> str:
    services().accounts.log_out(current_claims())
    return ""


@blueprint.get("/me")
@blueprint.auth_required(auth)
@blueprint.output(UserOut)
@blueprint.doc(summary="The account that the token belongs to")
def me() -> User:
    return current_user()


def _shown(pair: TokenPair) -> dict[str, Any]:
    return {
        "access_token": pair.access_token,
        "token_type": "bearer",
        "expires_in": pair.expires_in_s,
        "refresh_token": pair.refresh_token,
    }
