"""/api/v1/admin/audit-events: the audit trail."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.queries.audit import list_events
from db.tables import Role
from service.api.current import services
from service.api.http.authentication import require_role
from service.api.http.pagination import decode_cursor, encode_cursor, link_to_next
from service.api.schemas.audit_events import AuditEventListOut
from service.api.schemas.fields import CursorQuery

blueprint = APIBlueprint("admin", __name__, url_prefix="/api/v1/admin", tag="Administration")


@blueprint.get("/audit-events")
@require_role(blueprint, Role.ADMIN)
@blueprint.input(CursorQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(AuditEventListOut)
@blueprint.doc(summary="The audit trail, newest first", responses=[403])
def list_audit_events(query: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    per_page = query["per_page"]
    after = decode_cursor(query["cursor"]) if "cursor" in query else None
    found = services().transactions.run(
        lambda session: list_events(session, limit=per_page + 1, after=after)
    )
    shown, last = found[:per_page], found[per_page - 1] if len(found) > per_page else None
    next_cursor = encode_cursor(last.created_at, last.id) if last else None
    return {"items": shown, "next_cursor": next_cursor}, link_to_next(cursor=next_cursor)
