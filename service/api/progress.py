"""/api/v1/progress: what the caller did with lessons."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint

from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.schemas.enrolments import (
    ProgressIn,
    ProgressListIn,
    ProgressListOut,
    ProgressOut,
)
from service.domain.courses.progress import Graded, Report

blueprint = APIBlueprint("progress", __name__, url_prefix="/api/v1/progress", tag="Courses")
_ENROL = "The caller must be enrolled in the course. "


@blueprint.put("/<uuid:lesson_id>")
@blueprint.auth_required(auth)
@blueprint.input(ProgressIn, location="json", arg_name="body")
@blueprint.output(ProgressOut)
@blueprint.doc(
    summary="Report a lesson as done, with the answers to its quiz, or as not done",
    description=f"{_ENROL}The same request again changes nothing.",
    responses=[409],
)
def put_progress(lesson_id: UUID, body: dict[str, Any]) -> Graded:
    report = Report(lesson_id, body["completed"], body.get("answers"))
    [graded] = services().progress.report(current_user(), [report])
    return graded


@blueprint.post("")
@blueprint.auth_required(auth)
@blueprint.input(ProgressListIn, location="json", arg_name="body")
@blueprint.output(ProgressListOut)
@blueprint.doc(
    summary="Report several lessons: all are stored, or none if one is refused",
    description=_ENROL,
    responses=[404, 409],
)
def post_progress(body: dict[str, Any]) -> dict[str, Any]:
    reports = [
        Report(item["lesson_id"], item["completed"], item.get("answers"), field=f"items.{i}")
        for i, item in enumerate(body["items"])
    ]
    return {"items": services().progress.report(current_user(), reports)}
