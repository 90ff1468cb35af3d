"""The RFC 9457 document of an error. Imports no web framework: the HTTP server uses it too."""

from __future__ import annotations

import json
from typing import Any

from service.errors import Fault, RangeNotSatisfiable, RiskscanError
from service.observability.request_id import current_request_id
from service.problem_types import PROBLEM_TYPES

MEDIA_TYPE = "application/problem+json"
INTERNAL_ERROR_DETAIL = "The service failed unexpectedly. Report the request_id to the operator."


def problem(
    code: str, detail: str, *, instance: str, faults: tuple[Fault, ...] = ()
) -> dict[str, Any]:
    """Return the problem document of an error; `code` determines title and status."""
    problem_type = PROBLEM_TYPES[code]
    return {
        "type": f"urn:riskscan:problem:{code}",
        "title": problem_type.title,
        "status": problem_type.status,
        "detail": detail,
        "instance": instance,
        "code": code,
        "request_id": current_request_id(),
        "errors": [{"field": f.field, "message": f.message} for f in faults],
    }


def error_headers(error: RiskscanError) -> list[tuple[str, str]]:
    """Return the headers that this error adds to its response."""
    headers = []
    if error.retry_after_s is not None:
        headers.append(("Retry-After", str(error.retry_after_s)))
    if isinstance(error, RangeNotSatisfiable):
        headers.append(("Content-Range", f"bytes */{error.size_bytes}"))
    if error.status == 401:
        headers.append(("WWW-Authenticate", 'Bearer realm="riskscan"'))
    return headers


def problem_response(
    code: str, detail: str, *, instance: str, faults: tuple[Fault, ...] = ()
) -> tuple[bytes, list[tuple[str, str]]]:
    """Return body and headers of an error response, for servers without the web framework."""
    document = problem(code, detail, instance=instance, faults=faults)
    body = json.dumps(document).encode()
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "X-Request-ID": document["request_id"],
    }
    return body, list(headers.items())
