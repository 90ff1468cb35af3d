"""The RFC 9457 document of an error, and its media type. No framework, so that any server can answer it."""

from __future__ import annotations

import json
from typing import Any

from service.errors import HTTP_STATUS, Fault, RiskscanError
from service.observability.request_id import current_request_id

MEDIA_TYPE = "application/problem+json"
TITLES: dict[str, str] = {
    "invalid_request": "The request is not valid",
    "unreadable_document": "The document cannot be read",
    "unauthenticated": "Authentication is needed",
    "forbidden": "Not allowed",
    "not_found": "Not found",
    "method_not_allowed": "Method not allowed",
    "not_acceptable": "Not acceptable",
    "conflict": "Conflict",
    "too_large": "Too large",
    "unsupported_media_type": "Unsupported media type",
    "rate_limited": "Quota used up",
    "internal_error": "Internal error",
    "not_configured": "Not configured here",
    "analyzer_error": "The analyzer failed",
    "analyzer_unavailable": "The analyzer is not available",
    "analyzer_timeout": "The analysis took too long",
    "overloaded": "Too much work is waiting",
    "database_unavailable": "The database is not available",
    "not_ready": "Not ready",
    "shutting_down": "Shutting down",
    "unsupported_http_version": "HTTP version not supported",
}
FIXED_500 = "Something went wrong here. Tell the operator the request_id."


def problem(
    code: str, detail: str, *, instance: str, faults: tuple[Fault, ...] = ()
) -> dict[str, Any]:
    """Return the problem document of an error, with all its members; its code gives its status."""
    return {
        "type": f"urn:riskscan:problem:{code}",
        "title": TITLES[code],
        "status": HTTP_STATUS[code],
        "detail": detail,
        "instance": instance,
        "code": code,
        "request_id": current_request_id(),
        "errors": [{"field": f.field, "message": f.message} for f in faults],
    }


def headers_of(error: RiskscanError) -> list[tuple[str, str]]:
    """Return the headers that only the answer to this error has."""
    headers = []
    if error.retry_after_s is not None:
        headers.append(("Retry-After", str(error.retry_after_s)))
    if error.status == 401:
        headers.append(("WWW-Authenticate", 'Bearer realm="riskscan"'))
    return headers


def problem_response(
    code: str, detail: str, *, instance: str, faults: tuple[Fault, ...] = ()
) -> tuple[bytes, list[tuple[str, str]]]:
    """Return body and headers of the answer to an error, for servers below the framework."""
    document = problem(code, detail, instance=instance, faults=faults)
    body = json.dumps(document).encode()
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "X-Request-ID": document["request_id"],
    }
    return body, list(headers.items())
