"""Request bodies: multipart, urlencoded and JSON read into one mapping, for any input schema.

`register` hangs the reader on webargs' "json_or_form" location, so a view declares its body by
`input(Schema, location="json_or_form")` and the OpenAPI document follows.
"""

from __future__ import annotations

import json
from typing import Any

from apiflask.schema_adapters.marshmallow import parser
from flask import Request
from marshmallow import Schema
from werkzeug.datastructures import FileStorage, MultiDict

from service.errors import Fault, InvalidRequest, UnsupportedMediaType

READ = ("multipart/form-data", "application/x-www-form-urlencoded", "application/json")


def register() -> None:
    """Teach the input parser to read all three kinds of body."""
    parser.location_loader("json_or_form")(read_body)


def read_body(request: Request, _schema: Schema) -> Any:  # noqa: ANN401 - JSON
    """Return the body's fields; files are FileStorage values.

    Raises:
        InvalidRequest: not JSON, or a field sent twice (one of them would be dropped unseen).
        UnsupportedMediaType: another kind of body.
    """
    if request.mimetype == "application/json":
        return _json(request.get_data(cache=False))
    if request.mimetype in READ:
        return _form(request)
    if not request.mimetype and not request.content_length:
        return {}
    raise UnsupportedMediaType(f"The body is read as one of: {', '.join(READ)}.")


def _json(body: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The body is not valid JSON in UTF-8.") from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _form(request: Request) -> dict[str, Any]:
    fields: MultiDict[str, str | FileStorage] = MultiDict(request.form)
    fields.update(request.files)
    twice = [name for name in fields if len(fields.getlist(name)) > 1]
    if twice:
        faults = tuple(Fault(name, "This field was sent more than once.") for name in twice)
        raise InvalidRequest("A field was sent more than once.", faults=faults)
    return dict(fields.items())
