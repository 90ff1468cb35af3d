"""Accounts, tokens, passwords and log-ins."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Boolean, Integer, List, Nested, String
from apiflask.validators import Length, OneOf
from marshmallow import EXCLUDE, pre_load

from db.tables import Role
from service.api.schemas.fields import StrictSchema, Text
from service.domain.limits import MAX_PASSWORD_CHARS


class RegisterIn(StrictSchema):
    email = Text(required=True, validate=Length(1, 254), metadata={"example": "test@test.com"})
    password = Text(
        required=True, validate=Length(1, MAX_PASSWORD_CHARS), metadata={"example": "test123"}
    )


class TokenRequest(StrictSchema):
    """An OAuth2 token request. RFC 6749, section 3.2: ignore empty and unknown fields."""

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def _drop_empty(self, raw: Any, **_: object) -> Any:  # noqa: ANN401 - any JSON
        return {k: v for k, v in raw.items() if v != ""} if isinstance(raw, Mapping) else raw


def _grant(name: str) -> String:
    error = f"unsupported_grant_type: this path accepts only {name}."
    metadata = {"description": "For OAuth2 clients.", "enum": [name, ""]}
    return String(validate=OneOf([name], error=error), metadata=metadata)


class LoginIn(TokenRequest):
    """OAuth2 password grant; `email` is accepted in place of `username`."""

    username = Text(validate=Length(max=254), metadata={"example": "test@test.com"})
    email = Text(validate=Length(max=254), metadata={"description": "Alternative to username."})
    password = Text(
        required=True, validate=Length(1, MAX_PASSWORD_CHARS), metadata={"example": "test123"}
    )
    grant_type = _grant("password")

    def faults_across(self, data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
        """Require one e-mail address, as `username` or `email`."""
        names = [name for name in ("username", "email") if raw.get(name)]
        if not names:
            return {"username": "Send the e-mail address as username or email."}
        if len(names) == 2 and data.get("username") != data.get("email"):
            return dict.fromkeys(names, "Two addresses were sent; send either username or email.")
        return {}


class RefreshIn(TokenRequest):
    refresh_token = String(required=True, validate=Length(1, 512))
    grant_type = _grant("refresh_token")


class TokensOut(Schema):
    access_token = String(required=True)
    token_type = String(required=True, validate=OneOf(["bearer"]))
    expires_in = Integer(required=True, metadata={"description": "Seconds."})
    refresh_token = String(required=True)


class UserOut(Schema):
    id = UUID(required=True)
    email = Text(required=True)
    role = String(required=True, validate=OneOf(list(Role)))
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    updated_at = AwareDateTime(required=True, attribute="changed_at", default_timezone=UTC)


class OwnTeamOut(Schema):
    id = UUID(required=True)
    name = String(required=True)


class MeOut(UserOut):
    teams = List(
        Nested(OwnTeamOut),
        required=True,
        metadata={"description": "The newest 100; GET /api/v1/teams lists all."},
    )


class PasswordIn(StrictSchema):
    current_password = Text(required=True, validate=Length(1, MAX_PASSWORD_CHARS))
    new_password = Text(required=True, validate=Length(1, MAX_PASSWORD_CHARS))


class AccountDeletionIn(StrictSchema):
    password = Text(required=True, validate=Length(1, MAX_PASSWORD_CHARS))


class LoginOut(Schema):
    """A log-in and the tokens that it issued."""

    id = UUID(required=True)
    created_at = AwareDateTime(
        required=True, default_timezone=UTC, metadata={"description": "Time of the log-in."}
    )
    last_used_at = AwareDateTime(
        required=True,
        allow_none=True,
        default_timezone=UTC,
        metadata={"description": "Accurate to one minute; null if unused since this field exists."},
    )
    client_address = String(
        required=True,
        allow_none=True,
        metadata={"description": "Client's IP address at log-in; null if unknown."},
    )
    is_current = Boolean(
        required=True,
        metadata={"description": "Whether this request's token belongs to this log-in."},
    )


class LoginListOut(Schema):
    items = List(Nested(LoginOut), required=True)
    next_cursor = String(required=True, allow_none=True)
