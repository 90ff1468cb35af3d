"""/api/v1/sessions/{id}/files: the files of a work session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, request
from marshmallow import RAISE

from db.queries.reach import own
from db.tables import Batch, File, Scope
from service.api.current import services
from service.api.http.authentication import auth, caller_key, current_user
from service.api.http.deferred import PREFER, accepted, prefers_async
from service.api.http.downloads import BYTES, download, ranged
from service.api.http.foreign_reads import read_session
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, cursor_page
from service.api.http.problem_document import problem
from service.api.http.quotas import spend
from service.api.http.request_headers import reads
from service.api.http.uploads import batch_options, scan_options, upload
from service.api.schemas.fields import CursorQuery
from service.api.schemas.files import FileIn, FileListOut, FileOut, SessionScanIn, SessionScanOut
from service.api.schemas.scans import ScanHeaders
from service.domain.file_scans import FileScan, FileStatus
from service.domain.files import work_sessions
from service.domain.files.files import choose_files, require_file
from service.domain.files.files import list_files as list_page

blueprint = APIBlueprint("files", __name__, url_prefix="/api/v1/sessions", tag="Files")


@blueprint.post("/<uuid:session_id>/files")
@blueprint.auth_required(auth)
@key_scope(Scope.SCAN)
@blueprint.input(FileIn, location="files", arg_name="body")
@blueprint.output(FileOut, status_code=201)
@blueprint.doc(summary="Upload a file into a session")
def add_file(session_id: UUID, body: dict[str, Any]) -> tuple[File, int, dict[str, str]]:
    file = services().files.add(current_user().id, session_id, upload(body["file"]))
    return file, 201, {"Location": f"/api/v1/sessions/{session_id}/files/{file.id}"}


@blueprint.get("/<uuid:session_id>/files")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(CursorQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(FileListOut)
@blueprint.doc(summary="List the files of a session, newest first")
def list_files(session_id: UUID, query: dict[str, Any]) -> Listing:
    reach, read = read_session(session_id), services().transactions.read
    return cursor_page(query, lambda **page: read(list_page, reach, session_id, **page))


@blueprint.get("/<uuid:session_id>/files/<uuid:file_id>")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.output(FileOut)
@blueprint.doc(summary="Get name, type and size of a file")
def get_file(session_id: UUID, file_id: UUID) -> File:
    return _readable_file(session_id, file_id)


@blueprint.get("/<uuid:session_id>/files/<uuid:file_id>/content")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.doc(summary="Download a file, or the part that Range names", responses=BYTES)
@ranged
def download_file(session_id: UUID, file_id: UUID) -> Response:
    files = services().files
    file = _readable_file(session_id, file_id)
    services().foreign_reads.store(current_user().id, file.user_id, "file", file_id)
    return download(
        lambda start, end: files.open(file, start=start, end=end),
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        name=file.name,
        media_type=file.media_type,
    )


@blueprint.post("/<uuid:session_id>/scan")
@blueprint.auth_required(auth)
@key_scope(Scope.SCAN)
@blueprint.input(ScanHeaders, location="headers", arg_name="headers")
@blueprint.input(SessionScanIn, location="json", arg_name="body")
@blueprint.output(SessionScanOut)
@blueprint.doc(
    summary="Scan the files of a session",
    description="Each file becomes a scan of its own. The whole request has the time of one scan "
    "(AI_TIMEOUT_S). Files that remain when it ends are not_done: send the request again with the same "
    "Idempotency-Key, or their ids in another one. With the key, a file that was scanned keeps its scan.",
    responses=[409, 429, 501],
)
@reads(PREFER)
def scan_session(
    session_id: UUID, headers: dict[str, str], body: dict[str, Any]
) -> dict[str, Any] | Response:
    caller, user_id, key = caller_key(), current_user().id, headers.get("idempotency_key")
    chosen = services().transactions.read(choose_files, user_id, session_id, body.get("file_ids"))
    if prefers_async():
        return accepted(_defer(session_id, chosen, body, key))
    results = services().file_scans.scan_all(
        chosen, scan_options(body), key=key, admit=lambda: spend(services().scan_quota, caller)
    )
    counts = Counter(result.status for result in results)
    totals = {f"n_{status}": counts[status] for status in FileStatus}
    return {"items": [_file_scan(result) for result in results], **totals}


@blueprint.delete("/<uuid:session_id>/files/<uuid:file_id>")
@blueprint.auth_required(auth)
@key_scope(Scope.DELETE)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="Delete a file")
def delete_file(session_id: UUID, file_id: UUID) -> str:
    services().files.delete(current_user().id, session_id, file_id)
    return ""


def _defer(
    session_id: UUID, chosen: Sequence[File], body: dict[str, Any], key: str | None
) -> Batch:
    """Let the files wait for workers, in a batch of their own."""
    user_id, read = current_user().id, services().transactions.read
    if body.get("force_llm"):
        services().analyzers.require_llm()
    session = read(work_sessions.require, own(user_id), session_id)
    options = batch_options(body, session.name)
    return services().batch_intake.of_files(user_id, options, chosen, key=key)


def _readable_file(session_id: UUID, file_id: UUID) -> File:
    reach = read_session(session_id)
    return services().transactions.read(require_file, reach, file_id, session_id)


def _file_scan(result: FileScan) -> dict[str, Any]:
    scan, error = result.stored and result.stored.scan, result.error
    return {
        "file": result.file,
        "status": result.status,
        "scan_id": scan and scan.id,
        "n_findings": scan and scan.n_findings,
        "problem": error
        and problem(error.code, error.message, instance=request.path, faults=error.faults),
    }
