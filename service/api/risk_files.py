"""/api/v1/risks/export and /import: the risk register as a workbook."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import IO, Any

from apiflask import APIBlueprint
from flask import Response
from marshmallow import RAISE

from db.queries.risks import RiskFilter
from db.tables import Scope
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.key_scopes import key_scope
from service.api.schemas.files import FileIn
from service.api.schemas.risks import RiskFilters, RiskImportIn, RiskImportOut, filter_values
from service.domain.risks import views
from service.domain.risks.importing import ImportResult, import_risks
from service.domain.risks.sheet import MAX_FILE_BYTES, MAX_ROWS, read_sheet
from service.domain.workbooks import MEDIA_TYPE

blueprint = APIBlueprint("risk_files", __name__, url_prefix="/api/v1/risks", tag="Risks")
_WORKBOOK: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A workbook with a row for each risk",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    },
}


@blueprint.get("/export")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(RiskFilters, location="query", arg_name="query", unknown=RAISE)
@blueprint.doc(summary="Download the risks of the list as a workbook", responses=_WORKBOOK)
def export_risks(query: dict[str, Any]) -> Response:
    filters = RiskFilter(**filter_values(query), overdue_on=views.today())
    chunks = services().risk_register_file.export(current_user().id, filters)
    response = Response(chunks, mimetype=MEDIA_TYPE)
    name = f"riskscan-risks-{datetime.now(UTC):%Y-%m-%d}.xlsx"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@blueprint.post("/import")
@blueprint.auth_required(auth)
@key_scope(Scope.REVIEW)
@blueprint.input(RiskImportIn, location="query", arg_name="query", unknown=RAISE)
@blueprint.input(FileIn, location="files", arg_name="body")
@blueprint.output(RiskImportOut)
@blueprint.doc(
    summary="Create and change risks from a workbook: all rows, or none",
    description="The columns are those of the export. Computed ones are ignored, and unknown ones, which the "
    "answer lists. A row with an Id changes that risk, a row without one creates a risk. With a Version, the "
    f"row is refused if the risk changed meanwhile. At most {MAX_ROWS:,} rows and {MAX_FILE_BYTES:,} bytes. "
    "Formulas are not evaluated: they are errors.",
)
def import_register(query: dict[str, Any], body: dict[str, Any]) -> ImportResult:
    sheet = read_sheet(_received(body["file"].stream))
    parts = services()
    return import_risks(
        parts.transactions,
        current_user(),
        sheet,
        parts.taxonomy,
        is_dry_run=query["dry_run"],
    )


def _received(stream: IO[bytes]) -> bytes:
    """Return an uploaded file, or its beginning if it is too large."""
    data = bytearray()
    while len(data) <= MAX_FILE_BYTES and (block := stream.read(MAX_FILE_BYTES)):
        data += block
    return bytes(data)
