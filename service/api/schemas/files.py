"""Work sessions and the files in them."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, File, Integer, List, Nested, String
from apiflask.validators import Length

from service.api.schemas.fields import StrictSchema, Text


class WorkSessionIn(StrictSchema):
    name = Text(required=True, validate=Length(1, 255), metadata={"example": "Tender 2026"})


class WorkSessionOut(Schema):
    id = UUID(required=True, attribute="work_session.id")
    name = String(required=True, attribute="work_session.name")
    created_at = AwareDateTime(
        required=True, attribute="work_session.created_at", default_timezone=UTC
    )
    n_files = Integer(required=True)
    size_bytes = Integer(
        required=True, metadata={"description": "Of all files; equal files count each."}
    )


class WorkSessionListOut(Schema):
    items = List(Nested(WorkSessionOut), required=True)
    next_cursor = String(required=True, allow_none=True)


class FileIn(StrictSchema):
    file = File(  # type: ignore[no-untyped-call]  # APIFlask's is not annotated
        required=True, metadata={"description": "The file; its name is stored as metadata."}
    )


class FileOut(Schema):
    id = UUID(required=True)
    session_id = UUID(required=True, attribute="work_session_id")
    name = String(required=True)
    media_type = String(required=True, metadata={"description": "As the client declared it."})
    size_bytes = Integer(required=True)
    sha256 = String(required=True)
    pages = Integer(
        required=True,
        allow_none=True,
        metadata={"description": "null before the first scan, and for formats without pages."},
    )
    created_at = AwareDateTime(required=True, default_timezone=UTC)


class FileListOut(Schema):
    items = List(Nested(FileOut), required=True)
    next_cursor = String(required=True, allow_none=True)
