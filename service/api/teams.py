"""/api/v1/teams: administrators manage teams and their members; all users list their own teams."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.tables import Permission, Scope, Team, may, roles_with
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.key_scopes import key_scope, require_scope
from service.api.http.pagination import Listing, cursor_page
from service.api.http.preconditions import Versioned, takes_if_match, version_etag
from service.api.http.response_headers import Headers
from service.api.schemas.fields import CursorQuery
from service.api.schemas.teams import TeamIn, TeamListOut, TeamListQuery, TeamOut
from service.api.schemas.users import UserListOut
from service.domain.audit import Actor
from service.domain.teams import teams
from service.domain.teams.teams import TeamView
from service.domain.versions import Expected
from service.errors import Forbidden

blueprint = APIBlueprint("teams", __name__, url_prefix="/api/v1/teams", tag="Teams")
_ADMINISTRATORS = roles_with(Permission.PEOPLE)


@blueprint.get("")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(TeamListQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(TeamListOut)
@blueprint.doc(
    summary="List the caller's teams, or all for administrators, newest first",
    description="A key needs the scope `admin` for scope=all.",
    responses=[403],
)
def list_teams(query: dict[str, Any]) -> Listing:
    user, read = current_user(), services().transactions.read
    is_all = query["scope"] == "all"
    if is_all and not may(user.role, Permission.PEOPLE):
        raise Forbidden("Only administrators list all teams; scope=own lists yours.")
    if is_all:
        require_scope(Scope.ADMIN)
    member_id, search = None if is_all else user.id, query["search"]
    return cursor_page(
        query,
        lambda **page: read(teams.list_teams, member_id=member_id, search=search, **page),
    )


@blueprint.post("")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.input(TeamIn, location="json", arg_name="body")
@blueprint.output(TeamOut, status_code=201)
@blueprint.doc(summary="Create a team", responses=[403, 409])
def create_team(body: dict[str, str]) -> tuple[TeamView, Headers]:
    team: Team = services().teams.create(body["name"], actor=Actor(current_user().id))
    return TeamView(team), {"Location": f"/api/v1/teams/{team.id}"}


@blueprint.get("/<uuid:team_id>")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.output(TeamOut)
@blueprint.doc(summary="Get a team", responses=[403])
def get_team(team_id: UUID) -> Versioned[TeamView]:
    view = services().transactions.read(teams.get_team, team_id)
    return view, 200, version_etag(view.version)


@blueprint.put("/<uuid:team_id>")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.input(TeamIn, location="json", arg_name="body")
@blueprint.output(TeamOut)
@blueprint.doc(summary="Rename a team", responses=[403, 409])
@takes_if_match
def rename_team(team_id: UUID, body: dict[str, str], expected: Expected) -> Versioned[TeamView]:
    actor = Actor(current_user().id)
    view = services().teams.rename(team_id, body["name"], actor=actor, expected=expected)
    return view, 200, version_etag(view.version)


@blueprint.delete("/<uuid:team_id>")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.output({}, status_code=204)
@blueprint.doc(
    summary="Delete a team",
    description="Its members can no longer read what was shared with it. The shared objects stay.",
    responses=[403],
)
def delete_team(team_id: UUID) -> str:
    services().teams.delete(team_id, actor=Actor(current_user().id))
    return ""


@blueprint.get("/<uuid:team_id>/members")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.input(CursorQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(UserListOut)
@blueprint.doc(summary="List the members of a team, newest accounts first", responses=[403])
def list_members(team_id: UUID, query: dict[str, Any]) -> Listing:
    read = services().transactions.read
    return cursor_page(query, lambda **page: read(teams.list_members, team_id, **page))


@blueprint.put("/<uuid:team_id>/members/<uuid:user_id>")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="Add an account to a team", responses=[403])
def add_member(team_id: UUID, user_id: UUID) -> str:
    services().teams.add_member(team_id, user_id, actor=Actor(current_user().id))
    return ""


@blueprint.delete("/<uuid:team_id>/members/<uuid:user_id>")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.output({}, status_code=204)
@blueprint.doc(
    summary="Remove an account from a team",
    description="What the account shares with the team is shared with it no longer.",
    responses=[403],
)
def remove_member(team_id: UUID, user_id: UUID) -> str:
    services().teams.remove_member(team_id, user_id, actor=Actor(current_user().id))
    return ""
