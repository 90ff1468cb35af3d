"""Shapes of one's password and log-ins; the OpenAPI document comes from these."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Boolean, Integer, List, Nested, String
from apiflask.validators import Length, Range

from service.passwords import MAX_PASSWORD_CHARS
from service.schemas import StrictSchema, Text


class PasswordIn(StrictSchema):
    current_password = Text(required=True, validate=Length(1, MAX_PASSWORD_CHARS))
    new_password = Text(required=True, validate=Length(1, MAX_PASSWORD_CHARS))


class LoginListQuery(StrictSchema):
    cursor = String(validate=Length(1, 200))
    per_page = Integer(load_default=50, validate=Range(1, 200))


class LoginOut(Schema):
    """One log-in and the tokens that come from it."""

    id = UUID(required=True)
    created_at = AwareDateTime(
        required=True, default_timezone=UTC, metadata={"description": "When the password was sent."}
    )
    last_used_at = AwareDateTime(
        required=True,
        allow_none=True,
        default_timezone=UTC,
        metadata={"description": "To the minute; null where it was not used since an upgrade."},
    )
    client_address = String(
        required=True,
        allow_none=True,
        metadata={"description": "Where it began; null where that is not known."},
    )
    is_current = Boolean(
        required=True, metadata={"description": "Whether this request's token comes from it."}
    )


class LoginListOut(Schema):
    items = List(Nested(LoginOut), required=True)
    next_cursor = String(required=True, allow_none=True)
