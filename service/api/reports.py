"""/api/v1/scans/{id}/report and /api/v1/reports: scans as files of several formats."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
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
from service.api.http.quotas import spend
from service.api.http.response_headers import Headers
from service.api.schemas.reports import (
    ReportLinkIn,
    ReportLinkOut,
    ReportLinkQuery,
    ReportQuery,
    ScanReportQuery,
)
from service.domain.access import in_scope, readable
from service.domain.reports import reports
from service.domain.reports.content import PASTED
from service.domain.reports.reports import MEDIA_TYPES, Format, Reader
from service.errors import NotAcceptable

blueprint = APIBlueprint("reports", __name__, url_prefix="/api/v1", tag="Reports")
LINK_PATH = "/api/v1/reports/link"
NEVER_STORED = {"Cache-Control": "no-store"}
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
_SELECTED = {
    **_CONTENT,
    404: {"description": "A scan, session or team is not within the caller's reach"},
}
_LINKED = {**_CONTENT, 404: {"description": "The link no longer works"}}
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


@blueprint.post("/scans/<uuid:scan_id>/report-links")
@blueprint.auth_required(auth)
@blueprint.input(ReportLinkIn, location="json", arg_name="body")
@blueprint.output(ReportLinkOut, status_code=201)
@blueprint.doc(
    summary="Make a link to the report of a scan that works without a log-in",
    description="The link stops working when it expires, when the scan or the caller's account is deleted, "
    "or when the caller is disabled or may no longer read the scan. Each use is logged as an export by "
    "the caller.",
)
def create_report_link(scan_id: UUID, body: dict[str, Any]) -> tuple[dict[str, Any], Headers]:
    parts, user, life = services(), current_user(), timedelta(seconds=body["expires_in_s"])
    link = parts.report_links.create(user, scan_id, Format(body["format"]), life=life)
    url = f"{parts.config.public_url}{LINK_PATH}?token={link.token}"
    return {"url": url, "expires_at": link.expires_at}, {"Location": url, **NEVER_STORED}


@blueprint.get("/reports/link")
@blueprint.input(ReportLinkQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.doc(
    summary="Download the report of a signed link",
    responses=_LINKED,
)
def get_linked_report(query: dict[str, str]) -> Response:
    linked = services().report_links.open(query["token"])
    spend(services().user_quota, str(linked.user.id))
    selection = Selection(scan_ids=(linked.scan.id,))
    reach = readable(linked.user)
    name = _stem(linked.scan)
    return _report(linked.user, reach, selection, linked.file_format, name=name, by_link=True)


@blueprint.get("/reports")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(ReportQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.doc(
    summary="Download a report of many scans, newest first",
    description="Select scans by id, session, team or period; all conditions must hold. Scans that begin "
    "after the request are left out.",
    responses=_SELECTED,
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
    user: User,
    reach: Reach,
    selection: Selection,
    file_format: Format,
    *,
    name: str,
    by_link: bool = False,
) -> Response:
    parts = services()
    chunks = parts.reports.write(
        Reader.of(user, reach), selection, file_format, parts.taxonomy, by_link=by_link
    )
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
