"""The log of exports."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Dict, Integer, List, Nested, String
from apiflask.validators import Length, OneOf

from service.api.schemas.fields import CursorQuery, Text
from service.domain.report_logs import Kind, Outcome

_KINDS, _OUTCOMES = [*map(str, Kind)], [*map(str, Outcome)]


class ReportLogQuery(CursorQuery):
    kind = String(validate=OneOf(_KINDS))
    user_id = UUID(metadata={"description": "The account that exported."})
    outcome = String(validate=OneOf(_OUTCOMES))
    request_id = Text(validate=Length(1, 64))
    created_from = AwareDateTime(
        default_timezone=UTC, metadata={"description": "Inclusive; UTC without an offset."}
    )
    created_before = AwareDateTime(default_timezone=UTC, metadata={"description": "Exclusive."})


class ReportLogOut(Schema):
    id = UUID(required=True)
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    user_id = UUID(required=True, allow_none=True)
    operator = String(
        required=True, allow_none=True, metadata={"description": "Who ran the command, if one did."}
    )
    kind = String(required=True, validate=OneOf(_KINDS))
    format = String(required=True)
    scope = Dict(required=True, metadata={"description": "The filters, or whose data."})
    n_rows = Integer(required=True, metadata={"description": "Rows that were sent."})
    size_bytes = Integer(required=True, metadata={"description": "Bytes that were sent."})
    request_id = String(required=True, allow_none=True)
    outcome = String(
        required=True,
        validate=OneOf(_OUTCOMES),
        metadata={"description": "cut_off: the client or the database was gone before the end."},
    )
    ended_at = AwareDateTime(required=True, allow_none=True, default_timezone=UTC)


class ReportLogListOut(Schema):
    items = List(Nested(ReportLogOut), required=True)
    next_cursor = String(required=True, allow_none=True)
