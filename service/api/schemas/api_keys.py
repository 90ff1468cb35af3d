"""API keys."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, List, Nested, String
from apiflask.validators import Length, OneOf, Range
from marshmallow import ValidationError

from db.tables import Scope
from service.api.schemas.fields import StrictSchema, Text, WholeNumber

MAX_DAYS = 3650
MAX_GRACE_S = 30 * 86_400


def _require_distinct(scopes: list[str]) -> None:
    if len(set(scopes)) < len(scopes):
        raise ValidationError("Name each scope once.")


class KeyIn(StrictSchema):
    name = Text(
        required=True,
        validate=Length(1, 100),
        metadata={"description": "Which machine uses the key.", "example": "nightly import"},
    )
    scopes = List(
        String(validate=OneOf([*map(str, Scope)])),
        required=True,
        validate=[Length(1), _require_distinct],
        metadata={
            "description": "scan sends documents, read reads scans and findings, review judges findings, "
            "delete deletes scans, admin uses the administration paths (administrators' keys only).",
            "example": ["scan", "read"],
        },
    )
    expires_in_days = WholeNumber(
        load_default=90,
        allow_none=True,
        validate=Range(1, MAX_DAYS),
        metadata={"description": "Null: the key never expires."},
    )


class RotationIn(StrictSchema):
    grace_s = WholeNumber(
        load_default=86_400,
        validate=Range(0, MAX_GRACE_S),
        metadata={"description": "Time in seconds for which the old key still works."},
    )


class KeyOut(Schema):
    id = UUID(required=True)
    name = String(required=True)
    hint = String(required=True, metadata={"description": "The last characters of the key."})
    scopes = List(String(validate=OneOf([*map(str, Scope)])), required=True)
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    expires_at = AwareDateTime(required=True, allow_none=True, default_timezone=UTC)
    last_used_at = AwareDateTime(
        required=True,
        allow_none=True,
        default_timezone=UTC,
        metadata={"description": "Accurate to one minute."},
    )
    replaced_by = UUID(
        required=True,
        allow_none=True,
        attribute="replaced_by_id",
        metadata={"description": "Id of the key that a rotation made."},
    )


class NewKeyOut(KeyOut):
    key = String(
        required=True,
        metadata={"description": "The key itself, shown this once. The service stores its hash."},
    )


class KeyListOut(Schema):
    items = List(Nested(KeyOut), required=True)
    next_cursor = String(required=True, allow_none=True)
