"""The audit trail."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Dict, List, Nested, String


class AuditEventOut(Schema):
    id = UUID(required=True)
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    action = String(required=True)
    user_id = UUID(required=True, allow_none=True)
    object_type = String(required=True)
    object_id = String(required=True, allow_none=True)
    request_id = String(required=True, allow_none=True)
    detail = Dict(required=True)


class AuditEventListOut(Schema):
    items = List(Nested(AuditEventOut), required=True)
    next_cursor = String(required=True, allow_none=True)
