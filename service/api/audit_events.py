"""/api/v1/admin/audit-events: the audit trail, its export and its newest seal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response
from marshmallow import RAISE
from sqlalchemy.orm import Session

from db.queries.audit import EventFilter, list_events
from db.tables import AuditEvent, Permission, Scope, roles_with
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, cursor_page
from service.api.schemas.audit_events import (
    AuditEventListOut,
    AuditEventOut,
    AuditEventQuery,
    AuditExportQuery,
    AuditSealOut,
)
from service.domain import report_logs
from service.domain.audit import Action, Actor, event, record
from service.domain.audit_seals import ExportedSeal
from service.domain.report_logs import Chunk, Kind, Report
from service.domain.services import Services
from service.domain.spreadsheet_cells import csv_cell
from service.errors import NotFound

blueprint = APIBlueprint("admin", __name__, url_prefix="/api/v1/admin", tag="Administration")
_AUDITORS = roles_with(Permission.AUDIT)
_EXPORTED_AT_ONCE = 1000
_MEDIA_TYPES = {"csv": "text/csv", "jsonl": "application/jsonl"}
_LINES: dict[int | str, dict[str, str | dict[str, dict[str, Any]]]] = {
    200: {
        "description": "An event on each line. The last line says that nothing is missing: "
        '{"complete": true, "n_rows": 123}, or in CSV "# complete: 123 rows".',
        "content": {media_type: {} for media_type in _MEDIA_TYPES.values()},
    },
    403: {"description": "Forbidden"},
}
_COLUMNS = [*AuditEventOut().fields]


@blueprint.get("/audit-events")
@blueprint.auth_required(auth, roles=_AUDITORS)
@key_scope(Scope.ADMIN)
@blueprint.input(AuditEventQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(AuditEventListOut)
@blueprint.doc(summary="List the audit trail, newest first", responses=[403])
def list_audit_events(query: dict[str, Any]) -> Listing:
    read, filters = services().transactions.read, _filters(query)
    return cursor_page(query, lambda **page: read(list_events, filters, **page))


@blueprint.get("/audit-events/export")
@blueprint.auth_required(auth, roles=_AUDITORS)
@key_scope(Scope.ADMIN)
@blueprint.input(AuditExportQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.doc(
    summary="Download the audit trail as CSV or JSON lines, newest first",
    responses=_LINES,
)
def export_audit_events(query: dict[str, Any]) -> Response:
    filters, name = _filters(query), query["format"]
    exported = event(
        Action.AUDIT_EXPORTED, actor=Actor(current_user().id), object_type="audit_events"
    )
    scope = {field: str(value) for field, value in asdict(filters).items() if value is not None}
    report = Report(Kind.AUDIT_TRAIL, name, Actor(current_user().id), scope)

    def begin(session: Session) -> UUID:
        record(session, exported)
        return report_logs.begin(session, report)

    report_id, pages = services().transactions.run(begin), _pages(services(), filters)
    chunks = _csv_chunks(pages) if name == "csv" else _json_chunks(pages)
    response = Response(
        services().report_logs.follow(report_id, chunks), mimetype=_MEDIA_TYPES[name]
    )
    response.headers.set("Content-Disposition", "attachment", filename=f"audit-events.{name}")
    return response


@blueprint.get("/audit-events/seal")
@blueprint.auth_required(auth, roles=_AUDITORS)
@key_scope(Scope.ADMIN)
@blueprint.output(AuditSealOut)
@blueprint.doc(summary="Get the newest seal of the audit trail, signed", responses=[403, 404])
def newest_seal() -> ExportedSeal:
    seal = services().audit_seals.newest()
    if seal is None:
        raise NotFound("Nothing is sealed yet; the service seals new events every minute.")
    return seal


def _filters(query: dict[str, Any]) -> EventFilter:
    names = EventFilter.__dataclass_fields__
    return EventFilter(**{name: query[name] for name in names if name in query})


def _pages(parts: Services, filters: EventFilter) -> Iterator[Sequence[AuditEvent]]:
    after = None
    while events := parts.transactions.read(
        list_events, filters, limit=_EXPORTED_AT_ONCE, after=after
    ):
        yield events
        after = (events[-1].created_at, events[-1].id)


def _json_chunks(pages: Iterator[Sequence[AuditEvent]]) -> Iterator[Chunk]:
    schema, n_rows = AuditEventOut(many=True), 0
    for events in pages:
        n_rows += len(events)
        lines = [f"{json.dumps(row, ensure_ascii=False)}\n" for row in schema.dump(events)]
        yield len(events), "".join(lines).encode()
    yield 0, f"{json.dumps({'complete': True, 'n_rows': n_rows})}\n".encode()


def _csv_chunks(pages: Iterator[Sequence[AuditEvent]]) -> Iterator[Chunk]:
    schema, n_rows = AuditEventOut(many=True), 0
    yield 0, f"{','.join(_COLUMNS)}\r\n".encode()
    for events in pages:
        n_rows += len(events)
        text = io.StringIO()
        rows = (
            {**row, "detail": json.dumps(row["detail"], ensure_ascii=False)}
            for row in schema.dump(events)
        )
        writer = csv.DictWriter(text, _COLUMNS)
        writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
        yield len(events), text.getvalue().encode()
    yield 0, f"# complete: {n_rows} rows\r\n".encode()
