"""/api/v1/sessions: a user's work sessions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.queries.reach import own, shared
from db.tables import Scope
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.foreign_reads import read_session
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, encode_cursor, listing, position, split_page
from service.api.http.preconditions import Versioned, takes_if_match, version_etag
from service.api.schemas.files import (
    WorkSessionIn,
    WorkSessionListOut,
    WorkSessionListQuery,
    WorkSessionOut,
)
from service.domain.files import work_sessions
from service.domain.files.work_sessions import WorkSessionView
from service.domain.versions import Expected

blueprint = APIBlueprint("work_sessions", __name__, url_prefix="/api/v1/sessions", tag="Files")
_SCOPES = {"own": own, "team": shared}


@blueprint.post("")
@blueprint.auth_required(auth)
@key_scope(Scope.SCAN)
@blueprint.input(WorkSessionIn, location="json", arg_name="body")
@blueprint.output(WorkSessionOut, status_code=201)
@blueprint.doc(summary="Create a session, which holds files", responses=[409])
def create_session(body: dict[str, str]) -> tuple[WorkSessionView, int, dict[str, str]]:
    view = services().transactions.run(
        work_sessions.create,
        current_user().id,
        body["name"],
        max_sessions=services().config.max_sessions,
    )
    return view, 201, {"Location": f"/api/v1/sessions/{view.work_session.id}"}


@blueprint.get("")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(WorkSessionListQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(WorkSessionListOut)
@blueprint.doc(summary="List the caller's sessions, or those of their teams, newest first")
def list_sessions(query: dict[str, Any]) -> Listing:
    per_page = query["per_page"]
    rows, last = split_page(
        services().transactions.read(
            work_sessions.list_page,
            _SCOPES[query["scope"]](current_user().id),
            limit=per_page + 1,
            after=position(query),
        ),
        per_page,
    )
    cursor = encode_cursor(last.work_session.created_at, last.work_session.id) if last else None
    return listing(rows, "cursor", cursor)


@blueprint.get("/<uuid:session_id>")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.output(WorkSessionOut)
@blueprint.doc(summary="Get a session")
def get_session(session_id: UUID) -> Versioned[WorkSessionView]:
    reach = read_session(session_id)
    view = services().transactions.read(work_sessions.get, reach, session_id)
    return view, 200, version_etag(view.version)


@blueprint.put("/<uuid:session_id>")
@blueprint.auth_required(auth)
@key_scope(Scope.SCAN)
@blueprint.input(WorkSessionIn, location="json", arg_name="body")
@blueprint.output(WorkSessionOut)
@blueprint.doc(summary="Rename a session")
@takes_if_match
def rename_session(
    session_id: UUID, body: dict[str, str], expected: Expected
) -> Versioned[WorkSessionView]:
    run = services().transactions.run
    user_id, name = current_user().id, body["name"]
    view = run(work_sessions.rename, user_id, session_id, name, expected=expected)
    return view, 200, version_etag(view.version)


@blueprint.delete("/<uuid:session_id>")
@blueprint.auth_required(auth)
@key_scope(Scope.DELETE)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="Delete a session and its files; scans stay")
def delete_session(session_id: UUID) -> str:
    services().files.delete_work_session(current_user().id, session_id)
    return ""
