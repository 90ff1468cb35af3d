"""Request bodies (multipart, urlencoded and JSON) and queries, read into one mapping for any input schema.

A view declares its body with `input(Schema, location=...)`; APIFlask derives the OpenAPI document from that.
"json_or_form" reads all three kinds. "json" reads only JSON, since forms cannot express lists unambiguously.
"form_and_files" reads JSON, alone or with a file. "files" reads a form with one file, as a stream, "form" one
with fields and many files, or JSON.
"query" reads the query, in which only a list may have several values.
APIFlask has one parser per process, so `register` replaces these six loaders of that parser; it may be
called again.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from apiflask import APIFlask
from apiflask.schema_adapters.marshmallow import parser
from flask import Request
from marshmallow import Schema
from marshmallow.fields import List
from werkzeug.datastructures import FileStorage

from service.api.http.bounded_request import BoundedRequest
from service.api.http.json_bounds import check_json
from service.api.http.limits import (
    MAX_FORM_FIELDS,
    max_batch_body_bytes,
    max_body_bytes,
    max_upload_body_bytes,
)
from service.api.http.streamed_form import read_form
from service.api.http.streamed_upload import read_file_part
from service.config.settings import Config
from service.errors import Fault, InvalidRequest, UnsupportedMediaType

REPORT_PART = "report"
"""The form part that holds the JSON body of a request with a file."""
BODY_TYPES = ("multipart/form-data", "application/x-www-form-urlencoded", "application/json")


def register(app: APIFlask, config: Config) -> None:
    """Limit the bodies of `app`, and register the readers of bodies and queries with APIFlask's parser."""
    app.request_class = BoundedRequest
    app.config.update(
        MAX_CONTENT_LENGTH=max_body_bytes(config),
        MAX_FORM_MEMORY_SIZE=max_body_bytes(config),
        MAX_FORM_PARTS=MAX_FORM_FIELDS,
    )
    parser.location_loader("json_or_form")(read_body)
    parser.location_loader("json")(read_json)
    parser.location_loader("query")(read_query)
    parser.location_loader("form_and_files")(read_report)
    parser.location_loader("files")(
        partial(read_upload, max_body_bytes=max_upload_body_bytes(config))
    )
    parser.location_loader("form")(
        partial(read_documents, max_body_bytes=max_batch_body_bytes(config))
    )


def read_body(request: Request, schema: Schema) -> Any:  # noqa: ANN401 - JSON
    """Return the body's fields by name; a file is a FileStorage.

    Raises:
        InvalidRequest: the body is missing or malformed, or contains a field twice.
        UnsupportedMediaType: the body has another type, or a Content-Encoding.
    """
    _reject_encoded(request)
    if request.mimetype == "application/json":
        return _parse_json(request.get_data(cache=False))
    if request.mimetype == "application/x-www-form-urlencoded":
        return _parse_urlencoded(request.get_data(cache=False))
    if request.mimetype == "multipart/form-data":
        return _parse_multipart(request)
    if _is_missing(request):
        return _no_fields(schema, request.method)
    raise UnsupportedMediaType(f"Send the body as one of: {', '.join(BODY_TYPES)}.")


def read_json(request: Request, schema: Schema) -> Any:  # noqa: ANN401 - JSON
    """Return the fields of a JSON body; raises as `read_body` does."""
    _reject_encoded(request)
    if request.mimetype == "application/json":
        return _parse_json(request.get_data(cache=False))
    if _is_missing(request):
        return _no_fields(schema, request.method)
    raise UnsupportedMediaType("Send the body as application/json.")


def read_report(request: Request, schema: Schema) -> Any:  # noqa: ANN401 - JSON
    """Return the fields of a JSON body, or of a form: the JSON in its part `report`, and its files.

    Raises as `read_body` does.
    """
    if request.mimetype != "multipart/form-data":
        return read_json(request, schema)
    _reject_encoded(request)
    parts = _parse_multipart(request)
    report = parts.pop(REPORT_PART, None)
    fields = _parse_json(report.encode()) if isinstance(report, str) else None
    if not isinstance(fields, dict):
        fault = Fault(REPORT_PART, "Send the JSON body in this part, without a file name.")
        raise InvalidRequest(fault.message, faults=(fault,))
    _reject_repeated([*fields, *parts])
    return {**fields, **parts}


def read_upload(request: Request, _schema: Schema, *, max_body_bytes: int) -> Any:  # noqa: ANN401 - as above
    """Return the only file of a form, as a stream, by the name of its part. Raises as `read_body` does."""
    _reject_encoded(request)
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType("Send the file as multipart/form-data.")
    request.max_content_length = max_body_bytes
    return read_file_part(request)


def read_documents(request: Request, schema: Schema, *, max_body_bytes: int) -> Any:  # noqa: ANN401 - as above
    """Return the fields of a JSON body, or of a form: the fields before its files, and all its files.

    The files are FormFiles under the name of the first one's part. Raises as `read_body` does.
    """
    if request.mimetype != "multipart/form-data":
        return read_json(request, schema)
    _reject_encoded(request)
    request.max_content_length = max_body_bytes
    fields, files, part = read_form(request)
    return {**fields, part: files} if files else fields


def read_query(request: Request, schema: Schema) -> Any:  # noqa: ANN401 - webargs's mapping
    """Return the parameters of the query by name.

    Raises:
        InvalidRequest: a parameter that is no list occurs twice, and the answer could follow only one value.
    """
    lists = {name for name, field in schema.fields.items() if isinstance(field, List)}
    names = (name for name, _ in request.args.items(multi=True))
    _reject_repeated([name for name in names if name not in lists])
    return parser.load_querystring(request, schema)


def _is_missing(request: Request) -> bool:
    return not request.mimetype and not request.content_length


def _no_fields(schema: Schema, method: str) -> dict[str, Any]:
    """Return no fields for a missing body if the schema reports them as a fault, else report the body."""
    if not schema.validate({}):
        effect = "changes nothing" if method == "PATCH" else "sets all defaults"
        raise InvalidRequest(f"Send a body; the JSON object {{}} {effect}.")
    return {}


def _reject_encoded(request: Request) -> None:
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType(
            "The service reads uncompressed bodies only; send no Content-Encoding."
        )


def _parse_json(body: bytes) -> Any:  # noqa: ANN401 - JSON
    check_json(body)
    try:
        return json.loads(
            body.decode("utf-8-sig"),
            parse_constant=_reject_constant,
            object_pairs_hook=_unique_fields,
        )
    except ValueError as error:
        raise InvalidRequest("The body is not valid JSON in UTF-8.") from error


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _reject_repeated([name for name, _ in pairs])
    return dict(pairs)


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _parse_urlencoded(body: bytes) -> dict[str, str]:
    # request.form has no bound: rejecting 3 million one-letter fields took 50 s and 3 GB.
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
    except ValueError as error:
        raise InvalidRequest(
            f"The body is not urlencoded, or has more than {MAX_FORM_FIELDS} fields."
        ) from error
    _reject_repeated([name for name, _ in pairs])
    return dict(pairs)


def _parse_multipart(request: Request) -> dict[str, str | FileStorage]:
    if not (request.form or request.files):
        raise InvalidRequest("The multipart body has no parts; send fields, or the JSON object {}.")
    # For an input without a chosen file, a browser sends an empty part without a file name.
    files = [(name, f) for name, f in request.files.items(multi=True) if not _is_placeholder(f)]
    pairs: list[tuple[str, str | FileStorage]] = [*request.form.items(multi=True), *files]
    _reject_repeated([name for name, _ in pairs])
    return dict(pairs)


def _is_placeholder(file: FileStorage) -> bool:
    is_empty = not file.filename and not file.read(1)
    file.seek(0)
    return is_empty


def _reject_repeated(names: list[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        faults = tuple(Fault(name, "This field was sent more than once.") for name in repeated)
        raise InvalidRequest("A field was sent more than once.", faults=faults)
