"""Blocked networks."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, List, Nested, String
from apiflask.validators import Length

from service.api.schemas.fields import StrictSchema, Text


class BlockIn(StrictSchema):
    network = Text(
        required=True,
        validate=Length(1, 49),
        metadata={
            "description": "An address, or a network in CIDR notation.",
            "example": "192.0.2.0/24",
        },
    )
    reason = Text(required=True, validate=Length(1, 500))
    expires_at = AwareDateTime(
        load_default=None,
        allow_none=True,
        default_timezone=UTC,
        metadata={"description": "null: until it is deleted."},
    )


class BlockOut(Schema):
    id = UUID(required=True)
    network = String(required=True)
    reason = String(required=True)
    created_by = UUID(
        required=True, allow_none=True, metadata={"description": "null: an operator."}
    )
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    expires_at = AwareDateTime(required=True, allow_none=True, default_timezone=UTC)


class BlockListOut(Schema):
    items = List(Nested(BlockOut), required=True)
    next_cursor = String(required=True, allow_none=True)
