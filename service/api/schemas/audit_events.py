"""The audit trail and its seals."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Dict, Integer, List, Nested, String
from apiflask.validators import Length, OneOf

from service.api.schemas.fields import CursorQuery, StrictSchema, Text
from service.domain.audit import Action

EXPORT_FORMATS = ("csv", "jsonl")


class EventFilters(StrictSchema):
    """Which events; all filters must hold."""

    action = String(validate=OneOf(list(Action)))
    user_id = UUID(metadata={"description": "The account that acted."})
    object_type = Text(validate=Length(1, 64))
    object_id = Text(validate=Length(1, 255))
    request_id = Text(validate=Length(1, 64))
    created_from = AwareDateTime(
        default_timezone=UTC, metadata={"description": "Inclusive; UTC without an offset."}
    )
    created_before = AwareDateTime(default_timezone=UTC, metadata={"description": "Exclusive."})


class AuditEventQuery(EventFilters, CursorQuery):
    pass


class AuditExportQuery(EventFilters):
    format = String(load_default="jsonl", validate=OneOf(EXPORT_FORMATS))


class AuditEventOut(Schema):
    id = UUID(required=True)
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    action = String(required=True)
    user_id = UUID(required=True, allow_none=True)
    object_type = String(required=True)
    object_id = String(required=True, allow_none=True)
    request_id = String(required=True, allow_none=True)
    detail = Dict(
        required=True,
        attribute="full_detail",
        metadata={"description": "Without the client's address once its account is deleted."},
    )
    n = Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Number of the sealed event, from 1; null until it is sealed."},
    )


class AuditEventListOut(Schema):
    items = List(Nested(AuditEventOut), required=True)
    next_cursor = String(required=True, allow_none=True)


class AuditSealOut(Schema):
    """To keep outside the database: `python -m service audit verify --seal FILE` compares the trail."""

    last_n = Integer(required=True, metadata={"description": "Number of the last sealed event."})
    digest = String(required=True, metadata={"description": "SHA-256 of all events up to it."})
    sealed_at = String(required=True)
    signature = String(required=True, metadata={"description": "Made with SECRET_KEY."})
