"""/api/v1/admin/audit-events: the audit trail."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.queries.audit import list_events
from db.tables import Permission, Scope, roles_with
from service.api.current import services
from service.api.http.authentication import auth
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, cursor_page
from service.api.schemas.audit_events import AuditEventListOut
from service.api.schemas.fields import CursorQuery

blueprint = APIBlueprint("admin", __name__, url_prefix="/api/v1/admin", tag="Administration")


@blueprint.get("/audit-events")
@blueprint.auth_required(auth, roles=roles_with(Permission.AUDIT))
@key_scope(Scope.ADMIN)
@blueprint.input(CursorQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(AuditEventListOut)
@blueprint.doc(summary="List the audit trail, newest first", responses=[403])
def list_audit_events(query: dict[str, Any]) -> Listing:
    read = services().transactions.read
    return cursor_page(query, lambda **page: read(list_events, **page))
