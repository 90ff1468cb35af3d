"""/api/v1/courses/{id}/lessons: the lessons of a course, and a preview of Markdown."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint

from db.tables import Permission, Scope, roles_with
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.key_scopes import key_scope
from service.api.http.preconditions import (
    Versioned,
    needs_if_match,
    takes_if_match,
    version_etag,
)
from service.api.schemas.lessons import (
    LessonChangeIn,
    LessonIn,
    LessonListOut,
    LessonOrderIn,
    LessonOut,
    MarkdownIn,
    RenderedOut,
)
from service.domain.courses import lessons
from service.domain.courses.lessons import LessonView, ListedLesson
from service.domain.versions import Expected

blueprint = APIBlueprint("lessons", __name__, url_prefix="/api/v1/courses", tag="Courses")
_INSTRUCTORS = roles_with(Permission.COURSES)


@blueprint.get("/<uuid:course_id>/lessons")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.output(LessonListOut)
@blueprint.doc(summary="List the lessons of a course in their order, with the caller's progress")
def list_lessons(course_id: UUID) -> dict[str, Any]:
    rows = services().transactions.read(lessons.list_lessons, current_user(), course_id)
    return _listing(rows)


@blueprint.post("/<uuid:course_id>/lessons")
@blueprint.auth_required(auth, roles=_INSTRUCTORS)
@blueprint.input(LessonIn, location="json", arg_name="body")
@blueprint.output(LessonOut, status_code=201)
@blueprint.doc(summary="Add a lesson at the end of a course", responses=[403, 409])
def create_lesson(course_id: UUID, body: dict[str, Any]) -> tuple[LessonView, dict[str, str]]:
    view = services().transactions.run(
        lessons.create_lesson, current_user(), course_id, _stored(body)
    )
    lesson = view.lesson
    services().search_indexer.offer_lesson(lesson.id)
    path = f"/api/v1/courses/{course_id}/lessons/{lesson.id}"
    return view, {"Location": path, **version_etag(lesson.version)}


@blueprint.put("/<uuid:course_id>/lessons/order")
@blueprint.auth_required(auth, roles=_INSTRUCTORS)
@blueprint.input(LessonOrderIn, location="json", arg_name="body")
@blueprint.output(LessonListOut)
@blueprint.doc(
    summary="Reorder the lessons of a course",
    description="If-Match names the ETag of the course.",
    responses=[403],
)
@takes_if_match
def reorder_lessons(course_id: UUID, body: dict[str, Any], expected: Expected) -> dict[str, Any]:
    rows = services().transactions.run(
        lessons.reorder,
        current_user(),
        course_id,
        body["lesson_ids"],
        expected=expected,
    )
    return _listing(rows)


@blueprint.post("/<uuid:course_id>/lessons/preview")
@blueprint.auth_required(auth, roles=_INSTRUCTORS)
@blueprint.input(MarkdownIn, location="json", arg_name="body")
@blueprint.output(RenderedOut)
@blueprint.doc(summary="Preview Markdown as a lesson of a course", responses=[403])
def preview_lesson(course_id: UUID, body: dict[str, str]) -> dict[str, str]:
    html = services().transactions.read(lessons.preview, current_user(), course_id, body["source"])
    return {"html": html}


@blueprint.get("/<uuid:course_id>/lessons/<uuid:lesson_id>")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.output(LessonOut)
@blueprint.doc(summary="Get a lesson as HTML, with its quiz")
def get_lesson(course_id: UUID, lesson_id: UUID) -> Versioned[LessonView]:
    read = services().transactions.read
    view = read(lessons.get_lesson, current_user(), course_id, lesson_id)
    return view, 200, version_etag(view.lesson.version)


@blueprint.patch("/<uuid:course_id>/lessons/<uuid:lesson_id>")
@blueprint.auth_required(auth, roles=_INSTRUCTORS)
@blueprint.input(LessonChangeIn, location="json", arg_name="body")
@blueprint.output(LessonOut)
@blueprint.doc(
    summary="Change a lesson",
    description="The progress of learners stays.",
    responses=[403],
)
@needs_if_match
def change_lesson(
    course_id: UUID, lesson_id: UUID, body: dict[str, Any], expected: Expected
) -> Versioned[LessonView]:
    view = services().transactions.run(
        lessons.change_lesson,
        current_user(),
        course_id,
        lesson_id,
        _stored(body),
        expected=expected,
    )
    services().search_indexer.offer_lesson(lesson_id)
    return view, 200, version_etag(view.lesson.version)


@blueprint.delete("/<uuid:course_id>/lessons/<uuid:lesson_id>")
@blueprint.auth_required(auth, roles=_INSTRUCTORS)
@blueprint.output({}, status_code=204)
@blueprint.doc(
    summary="Delete a lesson with the progress of all learners",
    responses=[403],
)
@takes_if_match
def delete_lesson(course_id: UUID, lesson_id: UUID, expected: Expected) -> str:
    run = services().transactions.run
    run(lessons.delete_lesson, current_user(), course_id, lesson_id, expected=expected)
    return ""


def _stored(body: dict[str, Any]) -> dict[str, Any]:
    """Return the fields as they are stored: without questions, there is no quiz."""
    return {**body, "quiz": body["quiz"] or None} if "quiz" in body else body


def _listing(rows: list[ListedLesson]) -> dict[str, Any]:
    return {
        "items": [
            {
                "lesson": row.lesson,
                "n_questions": len(row.lesson.quiz or ()),
                "progress": row.progress,
            }
            for row in rows
        ]
    }
