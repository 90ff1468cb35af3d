"""/api/v1/courses: everybody reads active courses; instructors write them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.queries.courses import CourseFilter
from db.tables import CourseStatus, Permission, Scope, roles_with
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, cursor_page
from service.api.http.preconditions import (
    Versioned,
    needs_if_match,
    takes_if_match,
    version_etag,
)
from service.api.schemas.courses import (
    CourseChangeIn,
    CourseIn,
    CourseListOut,
    CourseListQuery,
    CourseOut,
)
from service.domain.audit import Actor
from service.domain.courses import courses
from service.domain.courses.courses import CourseView
from service.domain.versions import Expected

blueprint = APIBlueprint("courses", __name__, url_prefix="/api/v1/courses", tag="Courses")
_INSTRUCTORS = roles_with(Permission.COURSES)


@blueprint.get("")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(CourseListQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(CourseListOut)
@blueprint.doc(
    summary="List courses, newest first",
    description="Instructors and administrators see drafts and archived courses too.",
)
def list_courses(query: dict[str, Any]) -> Listing:
    user, read = current_user(), services().transactions.read
    filters = CourseFilter(
        status=CourseStatus(query["status"]) if "status" in query else None,
        category=query.get("category"),
        risk_type=query.get("risk_type"),
        search=query["search"],
    )
    return cursor_page(query, lambda **page: read(courses.list_courses, user, filters, **page))


@blueprint.post("")
@blueprint.auth_required(auth, roles=_INSTRUCTORS)
@blueprint.input(CourseIn, location="json", arg_name="body")
@blueprint.output(CourseOut, status_code=201)
@blueprint.doc(summary="Create a course", responses=[403, 409])
def create_course(body: dict[str, Any]) -> tuple[CourseView, dict[str, str]]:
    view = services().courses.create(body, actor=Actor(current_user().id))
    location = {"Location": f"/api/v1/courses/{view.id}"}
    return view, {**location, **version_etag(view.course.version)}


@blueprint.get("/<uuid:course_id>")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.output(CourseOut)
@blueprint.doc(summary="Get a course")
def get_course(course_id: UUID) -> Versioned[CourseView]:
    view = services().transactions.read(courses.get_course, current_user(), course_id)
    return view, 200, version_etag(view.course.version)


@blueprint.patch("/<uuid:course_id>")
@blueprint.auth_required(auth, roles=_INSTRUCTORS)
@blueprint.input(CourseChangeIn, location="json", arg_name="body")
@blueprint.output(CourseOut)
@blueprint.doc(
    summary="Change a course",
    responses=[403, 409],
)
@needs_if_match
def change_course(
    course_id: UUID, body: dict[str, Any], expected: Expected
) -> Versioned[CourseView]:
    actor = Actor(current_user().id)
    view = services().courses.change(course_id, body, expected=expected, actor=actor)
    return view, 200, version_etag(view.course.version)


@blueprint.delete("/<uuid:course_id>")
@blueprint.auth_required(auth, roles=_INSTRUCTORS)
@blueprint.output({}, status_code=204)
@blueprint.doc(
    summary="Delete a course with its lessons, files, enrolments and progress",
    description="To end a course and keep who completed it, set its status to archived.",
    responses=[403],
)
@takes_if_match
def delete_course(course_id: UUID, expected: Expected) -> str:
    services().transactions.run(
        courses.delete_course, course_id, expected=expected, actor=Actor(current_user().id)
    )
    return ""
