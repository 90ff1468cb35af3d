"""Request bodies: multipart, urlencoded and JSON read into one mapping, for any input schema.

`register` hangs the reader on webargs' "json_or_form" location, so a view declares its body by
`input(Schema, location="json_or_form")` and the OpenAPI document follows. The location "json" is for bodies
with lists, which forms cannot write without ambiguity; "form_and_files" is for a JSON body that may come
with a file.
"""

from __future__ import annotations

import json
from collections import Counter
from io import SEEK_END, BytesIO
from typing import Any
from urllib.parse import parse_qsl

from apiflask.schema_adapters.marshmallow import parser
from flask import Request
from marshmallow import Schema
from werkzeug.datastructures import FileStorage

from service.api.http.json_bounds import check_json
from service.api.http.limits import MAX_FIELDS
from service.errors import Fault, InvalidRequest, UnsupportedMediaType

REPORT = "report"
"""The form part that holds the JSON body if the request has a file too."""
READ = ("multipart/form-data", "application/x-www-form-urlencoded", "application/json")


class FormRequest(Request):
    """A request that keeps the files of a form in memory, where its body was already."""

    def _get_file_stream(self, *_: object, **__: object) -> BytesIO:
        return _File()


class _File(BytesIO):
    """A file in memory; reading all of it makes no copy."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size not in {-1, None} or self.tell():
            return super().read(size)
        self.seek(0, SEEK_END)
        return self.getvalue()


def register() -> None:
    """Teach the input parser to read all three kinds of body, JSON alone, or JSON beside a file."""
    parser.location_loader("json_or_form")(read_body)
    parser.location_loader("json")(read_json)
    parser.location_loader("form_and_files")(read_report)


def read_body(request: Request, _schema: Schema) -> Any:  # noqa: ANN401 - JSON
    """Return the body's fields; files are FileStorage values.

    Raises:
        InvalidRequest: not JSON, or a field sent twice (one of them would be dropped unseen).
        UnsupportedMediaType: another kind of body.
    """
    _refuse_encoded(request)
    if request.mimetype == "application/json":
        return _json(request.get_data(cache=False))
    if request.mimetype == "application/x-www-form-urlencoded":
        return _urlencoded(request.get_data(cache=False))
    if request.mimetype == "multipart/form-data":
        return _multipart(request)
    if not request.mimetype and not request.content_length:
        return {}
    raise UnsupportedMediaType(f"The body is read as one of: {', '.join(READ)}.")


def read_json(request: Request, _schema: Schema) -> Any:  # noqa: ANN401 - JSON
    """Return the fields of a JSON body; raises as `read_body` does."""
    _refuse_encoded(request)
    if request.mimetype == "application/json":
        return _json(request.get_data(cache=False))
    if not request.mimetype and not request.content_length:
        return {}
    raise UnsupportedMediaType("The body is read as application/json.")


def read_report(request: Request, schema: Schema) -> Any:  # noqa: ANN401 - JSON
    """Return the fields of a JSON body, or of a form: the JSON in its part `report`, and its files.

    Raises as `read_body` does.
    """
    if request.mimetype != "multipart/form-data":
        return read_json(request, schema)
    _refuse_encoded(request)
    parts = _multipart(request)
    report = parts.pop(REPORT, None)
    fields = _json(report.encode()) if isinstance(report, str) else None
    if not isinstance(fields, dict):
        fault = Fault(REPORT, "Send the JSON body in this part, without a file name.")
        raise InvalidRequest(fault.message, faults=(fault,))
    _refuse_repeated([*fields, *parts])
    return {**fields, **parts}


def _refuse_encoded(request: Request) -> None:
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType("Bodies are read as they are; send no Content-Encoding.")


def _json(body: bytes) -> Any:  # noqa: ANN401 - JSON
    check_json(body)
    try:
        return json.loads(
            body.decode("utf-8-sig"),
            parse_constant=_refuse_constant,
            object_pairs_hook=_without_repetition,
        )
    except ValueError as error:
        raise InvalidRequest("The body is not valid JSON in UTF-8.") from error


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _refuse_repeated([name for name, _ in pairs])
    return dict(pairs)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _urlencoded(body: bytes) -> dict[str, str]:
    # Not request.form, which has no bound: 3 million one-letter fields took 50 s and 3 GB to refuse.
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise InvalidRequest(
            f"The body is not urlencoded, of {MAX_FIELDS} fields at most."
        ) from error
    _refuse_repeated([name for name, _ in pairs])
    return dict(pairs)


def _multipart(request: Request) -> dict[str, str | FileStorage]:
    # A browser sends an input without a chosen file as an empty part without a name.
    files = [(name, f) for name, f in request.files.items(multi=True) if not _is_unchosen(f)]
    pairs: list[tuple[str, str | FileStorage]] = [*request.form.items(multi=True), *files]
    _refuse_repeated([name for name, _ in pairs])
    return dict(pairs)


def _is_unchosen(file: FileStorage) -> bool:
    is_empty = not file.filename and not file.read(1)
    file.seek(0)
    return is_empty


def _refuse_repeated(names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        faults = tuple(Fault(name, "This field was sent more than once.") for name in twice)
        raise InvalidRequest("A field was sent more than once.", faults=faults)
