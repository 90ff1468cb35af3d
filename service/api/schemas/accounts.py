"""Schemas of the caller's password and log-ins; the OpenAPI document is generated from them."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Boolean, Integer, List, Nested, String
from apiflask.validators import Length, Range

from service.api.schemas.scans import StrictSchema, Text
from service.domain.accounts.passwords import MAX_PASSWORD_CHARS


class PasswordIn(StrictSchema):
    current_password = Text(required=True, validate=Length(1, MAX_PASSWORD_CHARS))
    new_password = Text(required=True, validate=Length(1, MAX_PASSWORD_CHARS))


class LoginListQuery(StrictSchema):
    cursor = String(validate=Length(1, 200))
    per_page = Integer(load_default=50, validate=Range(1, 200))


class LoginOut(Schema):
    """One log-in and the tokens that it issued."""

    id = UUID(required=True)
    created_at = AwareDateTime(
        required=True, default_timezone=UTC, metadata={"description": "Time of the log-in."}
    )
    last_used_at = AwareDateTime(
        required=True,
        allow_none=True,
        default_timezone=UTC,
        metadata={
            "description": "Accurate to a minute; null if not used since the upgrade that added it."
        },
    )
    client_address = String(
        required=True,
        allow_none=True,
        metadata={"description": "Address of the client that logged in; null if unknown."},
    )
    is_current = Boolean(
        required=True, metadata={"description": "Whether this request's token belongs to it."}
    )


class LoginListOut(Schema):
    items = List(Nested(LoginOut), required=True)
    next_cursor = String(required=True, allow_none=True)
