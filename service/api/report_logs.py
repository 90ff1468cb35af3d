"""/api/v1/admin/report-logs: who exported what, and whether it was sent whole."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.queries.report_logs import ReportFilter, list_reports
from db.tables import Permission, Scope, roles_with
from service.api.current import services
from service.api.http.authentication import auth
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, cursor_page
from service.api.schemas.report_logs import ReportLogListOut, ReportLogQuery

blueprint = APIBlueprint("report_logs", __name__, url_prefix="/api/v1/admin", tag="Administration")


@blueprint.get("/report-logs")
@blueprint.auth_required(auth, roles=roles_with(Permission.AUDIT))
@key_scope(Scope.ADMIN)
@blueprint.input(ReportLogQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(ReportLogListOut)
@blueprint.doc(summary="List the exports of stored data, newest first", responses=[403])
def list_report_logs(query: dict[str, Any]) -> Listing:
    names = ReportFilter.__dataclass_fields__
    filters = ReportFilter(**{name: query[name] for name in names if name in query})
    read = services().transactions.read
    return cursor_page(query, lambda **page: read(list_reports, filters, **page))
