"""/api/v1/courses/{id}/files: what lessons show and link to."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, request

from db.tables import CourseFile, Permission, Scope, roles_with
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.downloads import disposition
from service.api.http.key_scopes import key_scope
from service.api.http.request_headers import reads
from service.api.http.response_headers import IF_NONE_MATCH
from service.api.http.uploads import upload
from service.api.schemas.courses import CourseFileListOut, CourseFileOut
from service.api.schemas.files import FileIn
from service.domain.courses import course_files

blueprint = APIBlueprint("course_files", __name__, url_prefix="/api/v1/courses", tag="Courses")
_INSTRUCTORS = roles_with(Permission.COURSES)
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The whole file",
        "content": dict.fromkeys(course_files.MEDIA_TYPES, _BINARY),
    }
}


@blueprint.get("/<uuid:course_id>/files")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.output(CourseFileListOut)
@blueprint.doc(summary="List the files of a course, by name")
def list_course_files(course_id: UUID) -> dict[str, Any]:
    read = services().transactions.read
    return {"items": read(course_files.list_files, current_user(), course_id)}


@blueprint.post("/<uuid:course_id>/files")
@blueprint.auth_required(auth, roles=_INSTRUCTORS)
@blueprint.input(FileIn, location="files", arg_name="body")
@blueprint.output(CourseFileOut, status_code=201)
@blueprint.doc(
    summary="Upload a file into a course",
    description="A picture, PDF, Office file or plain text of at most "
    f"{course_files.MAX_FILE_BYTES:,} bytes; a course has at most {course_files.MAX_FILES}. Lessons refer to "
    "it by its name.",
    responses=[403, 409],
)
def add_course_file(course_id: UUID, body: dict[str, Any]) -> tuple[CourseFile, dict[str, str]]:
    sent = upload(body["file"])
    file = services().course_files.add(current_user(), course_id, sent.name, sent.stream.read)
    return file, {"Location": f"/api/v1/courses/{course_id}/files/{file.id}/content"}


@blueprint.get("/<uuid:course_id>/files/<uuid:course_file_id>/content")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.doc(summary="Download a file of a course", responses=_CONTENT)
@reads(IF_NONE_MATCH)
def download_course_file(course_id: UUID, course_file_id: UUID) -> Response:
    read = services().transactions.read
    file, data = read(course_files.read_file, current_user(), course_id, course_file_id)
    response = Response(data, content_type=file.media_type)
    response.headers["Content-Disposition"] = disposition(file.name)
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(file.sha256)
    response.make_conditional(request)
    return response


@blueprint.delete("/<uuid:course_id>/files/<uuid:course_file_id>")
@blueprint.auth_required(auth, roles=_INSTRUCTORS)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="Delete a file of a course", responses=[403])
def delete_course_file(course_id: UUID, course_file_id: UUID) -> str:
    services().transactions.run(course_files.delete_file, current_user(), course_id, course_file_id)
    return ""
