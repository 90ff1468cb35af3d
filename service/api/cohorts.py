"""/api/v1/courses/{id}/cohort: instructors see who takes a course, and how far each is."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response
from marshmallow import RAISE

from db.tables import Permission, Scope, roles_with
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, cursor_page
from service.api.schemas.enrolments import CohortOut
from service.api.schemas.fields import CursorQuery
from service.domain.courses import cohort, courses

blueprint = APIBlueprint("cohorts", __name__, url_prefix="/api/v1/courses", tag="Courses")
_INSTRUCTORS = roles_with(Permission.COURSES)
_CSV: dict[int | str, dict[str, Any]] = {
    200: {"description": "A learner on each line", "content": {"text/csv": {}}},
    403: {"description": "Forbidden"},
}


@blueprint.get("/<uuid:course_id>/cohort")
@blueprint.auth_required(auth, roles=_INSTRUCTORS)
@key_scope(Scope.READ)
@blueprint.input(CursorQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(CohortOut)
@blueprint.doc(summary="List who takes a course, last enrolled first", responses=[403])
def get_cohort(course_id: UUID, query: dict[str, Any]) -> Listing:
    read = services().transactions.read
    read(courses.visible_course, current_user(), course_id)
    page, headers = cursor_page(query, lambda **page: read(cohort.list_learners, course_id, **page))
    counts = read(cohort.count_learners, course_id)
    return {**page, "counts": counts}, headers


@blueprint.get("/<uuid:course_id>/cohort/export")
@blueprint.auth_required(auth, roles=_INSTRUCTORS)
@key_scope(Scope.READ)
@blueprint.doc(summary="Download who takes a course as CSV", responses=_CSV)
def export_cohort(course_id: UUID) -> Response:
    export = services().cohorts.export(current_user(), course_id)
    response = Response(export, mimetype="text/csv", headers={"Cache-Control": "no-store"})
    response.headers.set("Content-Disposition", "attachment", filename="cohort.csv")
    return response
