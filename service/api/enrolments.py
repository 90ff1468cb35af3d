"""/api/v1/enrolments: who takes which course."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.tables import Scope
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, cursor_page
from service.api.schemas.enrolments import (
    EnrolledOut,
    EnrolmentIn,
    EnrolmentListOut,
    EnrolmentListQuery,
    EnrolmentOut,
)
from service.domain.courses import enrolments
from service.domain.courses.enrolments import Enrolled, EnrolmentView, NewEnrolment, Whom

blueprint = APIBlueprint("enrolments", __name__, url_prefix="/api/v1/enrolments", tag="Courses")
_EXISTING: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Everybody was enrolled already",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/EnrolledOut"}}},
    },
    403: {"description": "Only instructors enrol others"},
    404: {"description": "There is no such course, account or team"},
    409: {"description": "The course is not active"},
}


@blueprint.get("")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(EnrolmentListQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(EnrolmentListOut)
@blueprint.doc(summary="List the caller's enrolments with their progress, newest first")
def list_enrolments(query: dict[str, Any]) -> Listing:
    user_id, read = current_user().id, services().transactions.read
    course_id = query.get("course_id")
    return cursor_page(
        query,
        lambda **page: read(enrolments.list_enrolments, user_id, course_id=course_id, **page),
    )


@blueprint.post("")
@blueprint.auth_required(auth)
@blueprint.input(EnrolmentIn, location="json", arg_name="body")
@blueprint.output(EnrolledOut, status_code=201)
@blueprint.doc(
    summary="Enrol the caller; instructors may enrol an account, a team or a role",
    description="Existing enrolments stay; a due date for one account replaces its earlier one.",
    responses=_EXISTING,
)
def enrol(body: dict[str, Any]) -> tuple[Enrolled, int, dict[str, str]]:
    email = body["email"].strip().lower() if "email" in body else None
    whom = Whom(body.get("user_id"), email, body.get("team_id"), body.get("role"))
    new = NewEnrolment(body["course_id"], whom, body["is_recommended"], body.get("due_at"))
    enrolled = services().enrolments.enrol(current_user(), new)
    headers = {"Location": f"/api/v1/enrolments/{enrolled.view.id}"} if enrolled.view else {}
    return enrolled, 201 if enrolled.n_created else 200, headers


@blueprint.get("/<uuid:enrolment_id>")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.output(EnrolmentOut)
@blueprint.doc(summary="Get an enrolment of the caller's; instructors may get anybody's")
def get_enrolment(enrolment_id: UUID) -> EnrolmentView:
    read = services().transactions.read
    return read(enrolments.get_enrolment, current_user(), enrolment_id)


@blueprint.delete("/<uuid:enrolment_id>")
@blueprint.auth_required(auth)
@blueprint.output({}, status_code=204)
@blueprint.doc(
    summary="End an enrolment",
    description="The progress stays, and counts again after a later enrolment. Only instructors may end an "
    "enrolment that an instructor made.",
    responses=[409],
)
def delete_enrolment(enrolment_id: UUID) -> str:
    services().transactions.run(enrolments.delete_enrolment, current_user(), enrolment_id)
    return ""
