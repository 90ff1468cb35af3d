"""Outgoing calls, without their content."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Float, Integer, List, Nested, String
from apiflask.validators import Length, OneOf, Range

from db.tables import InteractionKind
from service.api.schemas.fields import CursorQuery, Flag, Text

_KINDS = [*map(str, InteractionKind)]


class ApiInteractionQuery(CursorQuery):
    kind = String(validate=OneOf(_KINDS))
    host = Text(validate=Length(1, 255))
    status = Integer(validate=Range(100, 599))
    error_code = Text(validate=Length(1, 64))
    failed = Flag(metadata={"description": "true: calls with an error; false: those without."})
    scan_id = UUID()
    created_from = AwareDateTime(
        default_timezone=UTC, metadata={"description": "Inclusive; UTC without an offset."}
    )
    created_before = AwareDateTime(default_timezone=UTC, metadata={"description": "Exclusive."})


class ApiInteractionOut(Schema):
    id = UUID(required=True)
    created_at = AwareDateTime(
        required=True, default_timezone=UTC, metadata={"description": "When the call began."}
    )
    kind = String(required=True, validate=OneOf(_KINDS))
    host = String(required=True)
    status = Integer(
        required=True, allow_none=True, metadata={"description": "null without an answer."}
    )
    error_code = String(
        required=True, allow_none=True, metadata={"description": "null if the call succeeded."}
    )
    duration_ms = Float(required=True)
    sent_bytes = Integer(required=True, metadata={"description": "Size of the request's body."})
    received_bytes = Integer(required=True)
    prompt_tokens = Integer(
        required=True, allow_none=True, metadata={"description": "As the server reports them."}
    )
    completion_tokens = Integer(required=True, allow_none=True)
    scan_id = UUID(
        required=True,
        allow_none=True,
        metadata={
            "description": "null if the call was for no stored scan. A scan that failed was not stored."
        },
    )
    request_id = String(required=True, allow_none=True)


class ApiInteractionListOut(Schema):
    items = List(Nested(ApiInteractionOut), required=True)
    next_cursor = String(required=True, allow_none=True)
