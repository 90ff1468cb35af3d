"""Errors as RFC 9457 problem+json."""

from __future__ import annotations

from apiflask import Schema
from apiflask.fields import Integer, List, Nested, String


class FaultOut(Schema):
    field = String(required=True)
    message = String(required=True)


class ProblemOut(Schema):
    """An error as RFC 9457 problem+json."""

    type = String(required=True)
    title = String(required=True)
    status = Integer(required=True)
    detail = String(required=True)
    instance = String(required=True)
    code = String(required=True)
    request_id = String(required=True, allow_none=True)
    errors = List(Nested(FaultOut), required=True)
