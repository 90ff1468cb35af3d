"""Accounts as administrators see them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from apiflask import Schema
from apiflask.fields import AwareDateTime, List, Nested, String
from apiflask.validators import Length, OneOf

from db.tables import AccountState, Role
from service.api.schemas.accounts import UserOut
from service.api.schemas.fields import CursorQuery, JsonBoolean, StrictSchema, Text
from service.domain.limits import MAX_PASSWORD_CHARS

_ROLES = OneOf(list(Role))


class UserListQuery(CursorQuery):
    search = Text(validate=Length(1, 254), metadata={"description": "Part of the e-mail address."})
    role = String(validate=_ROLES)
    state = String(validate=OneOf(list(AccountState)))


class InvitationIn(StrictSchema):
    email = Text(required=True, validate=Length(1, 254), metadata={"example": "test@test.com"})
    role = String(load_default=Role.USER, validate=_ROLES)


class UserChangeIn(StrictSchema):
    """What changes; the rest stays."""

    role = String(validate=_ROLES)
    is_disabled = JsonBoolean(
        metadata={"description": "true ends the account's log-ins and deletes its keys."},
    )

    def faults_across(self, data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG002 - the base's
        """Require a change."""
        return {} if raw else {"role": "Send role, is_disabled or both."}


class PasswordLinkOut(Schema):
    path = String(
        required=True,
        metadata={"description": "Send it after the service's address. It works once."},
    )
    expires_at = AwareDateTime(required=True, default_timezone=UTC)


class AccountOut(UserOut):
    state = String(
        required=True,
        validate=OneOf(list(AccountState)),
        metadata={
            "description": "invited: the owner has not chosen a password yet. sso: the owner logs in by "
            "single sign-on alone."
        },
    )


class InvitedOut(AccountOut):
    password_link = Nested(PasswordLinkOut, required=True)


class UserListOut(Schema):
    items = List(Nested(AccountOut), required=True)
    next_cursor = String(required=True, allow_none=True)


class PasswordByLinkIn(StrictSchema):
    token = Text(
        required=True,
        validate=Length(1, 512),
        metadata={"description": "The fragment of the link, which is the part after #."},
    )
    password = Text(required=True, validate=Length(1, MAX_PASSWORD_CHARS))
