"""Teams, their members, and with which teams something is shared."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Integer, List, Nested, String
from apiflask.validators import Length, OneOf

from service.api.schemas.fields import CursorQuery, StrictSchema, Text
from service.domain.teams.teams import MAX_NAME_CHARS


class TeamListQuery(CursorQuery):
    scope = String(
        load_default="own",
        validate=OneOf(["own", "all"]),
        metadata={
            "description": "own: the teams that the caller belongs to. all: every team, for administrators."
        },
    )
    search = Text(
        load_default="",
        validate=Length(1, MAX_NAME_CHARS),
        metadata={"description": "Part of the name, in any case."},
    )


class TeamIn(StrictSchema):
    name = Text(
        required=True,
        validate=Length(1, MAX_NAME_CHARS),
        metadata={"example": "Procurement", "description": "No two teams share it in any case."},
    )


class TeamOut(Schema):
    id = UUID(required=True, attribute="team.id")
    name = String(required=True, attribute="team.name")
    created_at = AwareDateTime(required=True, attribute="team.created_at", default_timezone=UTC)
    n_members = Integer(required=True)


class TeamListOut(Schema):
    items = List(Nested(TeamOut), required=True)
    next_cursor = String(required=True, allow_none=True)


class SharedWithOut(Schema):
    id = UUID(required=True)
    name = String(required=True)
    created_at = AwareDateTime(required=True, default_timezone=UTC)


class SharedWithListOut(Schema):
    items = List(Nested(SharedWithOut), required=True)
    next_cursor = String(required=True, allow_none=True)
