"""/api/v1/scans/{id}/report and /api/v1/reports: scans as files of several formats."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, request
from marshmallow import RAISE

from db.queries.reach import Reach
from db.queries.reports import Selection
from db.tables import Scan, Scope, User
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.downloads import disposition
from service.api.http.foreign_reads import read_session
from service.api.http.key_scopes import key_scope
from service.api.schemas.reports import ReportQuery, ScanReportQuery
from service.domain.access import in_scope, readable
from service.domain.reports import reports
from service.domain.reports.content import PASTED
from service.domain.reports.reports import MEDIA_TYPES, Format, Reader
from service.errors import NotAcceptable

blueprint = APIBlueprint("reports", __name__, url_prefix="/api/v1", tag="Reports")
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report, which is read while it is sent. Its last line or member says that "
        "nothing is missing: `complete` in JSON and CSV, the last sheet, page or bracket elsewhere.",
        "content": {
            media_type: {"schema": {"type": "object"}} if "json" in media_type else _BINARY
            for media_type in MEDIA_TYPES.values()
        },
    },
}
_HTML_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"


@blueprint.get("/scans/<uuid:scan_id>/report")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(ScanReportQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.doc(
    summary="Download a report of a scan",
    description="The document's name, the model, the coverage with its warnings, the findings by category, "
    "and each finding with its place and the verdict that applies now.",
    responses=_CONTENT,
)
def get_scan_report(scan_id: UUID, query: dict[str, Any]) -> Response:
    user = current_user()
    scan = services().transactions.read(reports.require_scan, readable(user), scan_id)
    services().foreign_reads.store(user.id, scan.user_id, "scan", scan_id)
    selection = Selection(scan_ids=(scan_id,))
    return _report(user, readable(user), selection, _format(query), name=_stem(scan))


@blueprint.get("/reports")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(ReportQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.doc(
    summary="Download a report of many scans, newest first",
    description="Of scans by id, of a session's files, of a team, or of a time. Scans that begin later are "
    "not in it.",
    responses=_CONTENT,
)
def get_report(query: dict[str, Any]) -> Response:
    user = current_user()
    selection = Selection(
        scan_ids=tuple(query.get("scan_id", ())),
        work_session_id=query.get("session"),
        team_id=query.get("team"),
        created_from=query.get("created_from"),
        created_before=query.get("created_before"),
    )
    is_named = bool(selection.scan_ids or selection.work_session_id or selection.team_id)
    reach = readable(user) if is_named else in_scope(user, query["scope"])
    if selection.work_session_id is not None:
        read_session(selection.work_session_id)
    if selection.team_id is not None:
        services().transactions.read(reports.require_team, user, selection.team_id)
    name = f"riskscan-{datetime.now(UTC):%Y-%m-%d}"
    return _report(user, reach, selection, _format(query), name=name)


def _report(
    user: User, reach: Reach, selection: Selection, file_format: Format, *, name: str
) -> Response:
    parts = services()
    chunks = parts.reports.write(Reader.of(user, reach), selection, file_format, parts.taxonomy)
    headers = {"Content-Disposition": disposition(f"{name}-report.{file_format}")}
    if file_format == Format.HTML:
        headers["Content-Security-Policy"] = _HTML_POLICY
    return Response(chunks, mimetype=MEDIA_TYPES[file_format], headers=headers)


def _format(query: dict[str, Any]) -> Format:
    """Return the format that the query names, else the first that Accept allows."""
    if "format" in query:
        return Format(query["format"])
    accepted = request.accept_mimetypes
    if not accepted:
        return Format.JSON
    media_type = accepted.best_match([*MEDIA_TYPES.values()])
    if media_type is None:
        raise NotAcceptable(f"A report is one of {', '.join(MEDIA_TYPES.values())}.")
    return next(name for name, known in MEDIA_TYPES.items() if known == media_type)


def _stem(scan: Scan) -> str:
    name = scan.filename or PASTED
    return name.rpartition(".")[0] or name
