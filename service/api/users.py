"""/api/v1/users: administrators invite, list, change and delete accounts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response
from marshmallow import RAISE

from db.queries.users import search_users
from db.tables import AccountState, Permission, Role, Scope, User, roles_with
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.data_export import ARCHIVE, data_export
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, cursor_page
from service.api.http.preconditions import Versioned, takes_if_match, version_etag
from service.api.http.response_headers import Headers
from service.api.schemas.users import (
    AccountOut,
    InvitationIn,
    InvitedOut,
    PasswordLinkOut,
    UserChangeIn,
    UserListOut,
    UserListQuery,
)
from service.domain.accounts import user_admin
from service.domain.accounts.password_links import PasswordLink
from service.domain.audit import Actor
from service.domain.versions import Expected

blueprint = APIBlueprint("users", __name__, url_prefix="/api/v1/users", tag="Administration")
_ADMINISTRATORS = roles_with(Permission.PEOPLE)
_ACCOUNT = ("id", "email", "role", "created_at", "changed_at", "state")


@blueprint.get("")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.input(UserListQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(UserListOut)
@blueprint.doc(summary="List accounts, newest first", responses=[403])
def list_users(query: dict[str, Any]) -> Listing:
    read = services().transactions.read
    role, state, email = query.get("role"), query.get("state"), query.get("search", "").lower()
    return cursor_page(
        query,
        lambda **page: read(
            search_users,
            email=email,
            role=Role(role) if role else None,
            state=AccountState(state) if state else None,
            **page,
        ),
    )


@blueprint.post("")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.input(InvitationIn, location="json", arg_name="body")
@blueprint.output(InvitedOut, status_code=201)
@blueprint.doc(
    summary="Invite a person: create an account, and a link to choose its password",
    description="The service sends no e-mail: send the link yourself.",
    responses=[403, 409],
)
def invite(body: dict[str, str]) -> tuple[dict[str, Any], Headers]:
    user, link = services().password_links.invite(
        body["email"], role=Role(body["role"]), actor=Actor(current_user().id)
    )
    fields = {name: getattr(user, name) for name in _ACCOUNT}
    return {**fields, "password_link": link}, {"Location": f"/api/v1/users/{user.id}"}


@blueprint.get("/<uuid:user_id>")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.output(AccountOut)
@blueprint.doc(summary="Get an account", responses=[403])
def get_user(user_id: UUID) -> Versioned[User]:
    user = services().transactions.read(user_admin.get_user, user_id)
    return user, 200, version_etag(user_admin.version(user))


@blueprint.patch("/<uuid:user_id>")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.input(UserChangeIn, location="json", arg_name="body")
@blueprint.output(AccountOut)
@blueprint.doc(
    summary="Change an account's role, disable or enable it",
    responses=[403, 409],
)
@takes_if_match
def change_user(user_id: UUID, body: dict[str, Any], expected: Expected) -> Versioned[User]:
    role = body.get("role")
    user = services().transactions.run(
        user_admin.change,
        user_id,
        role=Role(role) if role else None,
        is_disabled=body.get("is_disabled"),
        actor=Actor(current_user().id),
        expected=expected,
    )
    return user, 200, version_etag(user_admin.version(user))


@blueprint.delete("/<uuid:user_id>")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.output({}, status_code=204)
@blueprint.doc(
    summary="Delete an account with all that it owns",
    description="Audit events and verdicts on other people's scans stay, under the account's id.",
    responses=[403, 409],
)
def delete_user(user_id: UUID) -> str:
    services().account_deletion.delete(user_id, actor=Actor(current_user().id))
    return ""


@blueprint.get("/<uuid:user_id>/data")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.doc(
    summary="Download everything that is stored about an account",
    responses={**ARCHIVE, 403: {"description": "Forbidden"}},
)
def user_data(user_id: UUID) -> Response:
    return data_export(user_id)


@blueprint.post("/<uuid:user_id>/password-link")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.output(PasswordLinkOut, status_code=201)
@blueprint.doc(
    summary="Make a link with which the account's owner chooses a new password",
    description="When the link is used, the account's log-ins end and its API keys are deleted.",
    responses=[403],
)
def create_password_link(user_id: UUID) -> PasswordLink:
    return services().password_links.create(user_id, actor=Actor(current_user().id))
