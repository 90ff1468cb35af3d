"""Error responses that the server sends without the application: status lines, headers, whole responses."""

from __future__ import annotations

import http.client
from collections.abc import Mapping

from waitress.utilities import Error

from service.api.http.problem_document import INTERNAL_ERROR_DETAIL, error_headers, problem_response
from service.api.http.security_headers import security_headers
from service.errors import InvalidRequest, RiskscanError, TooLarge
from service.observability import request_id
from service.problem_types import PROBLEM_TYPES


def status_line(code: str) -> str:
    """Return the WSGI status line of an error code, such as "503 Service Unavailable"."""
    status = PROBLEM_TYPES[code].status
    return f"{status} {http.client.responses[status]}"


def raw_problem_response(
    error: RiskscanError, *, offered_id: str | None, is_head: bool, is_https: bool
) -> bytes:
    """Return the bytes of a complete HTTP response that closes the connection.

    `offered_id` is the request id that the client sent.
    """
    request_id.begin(offered_id)
    body, headers = problem_response(error.code, error.message, instance="")
    headers += [
        *error_headers(error),
        *security_headers(is_https=is_https),
        ("Connection", "close"),
    ]
    lines = (f"HTTP/1.1 {status_line(error.code)}", *(f"{n}: {v}" for n, v in headers), "", "")
    return "\r\n".join(lines).encode("latin-1") + (b"" if is_head else body)


def cors_headers(
    request_headers: Mapping[str, str], origins: tuple[str, ...]
) -> list[tuple[str, str]]:
    """Return the headers that let a web page of one of these origins read the response."""
    if (origin := request_headers.get("ORIGIN")) not in origins or origin is None:
        return []
    allowed = ("Access-Control-Allow-Origin", origin)
    return [allowed, ("Access-Control-Allow-Credentials", "true"), ("Vary", "Origin")]


def translate_error(error: RiskscanError | Error, *, too_large_detail: str) -> RiskscanError:
    """Translate an error of waitress to ours; return ours unchanged."""
    if isinstance(error, RiskscanError):
        return error
    if error.code == 413:
        return TooLarge(too_large_detail)
    if error.code == 431:
        return TooLarge("The request's headers are larger than this service takes.")
    if error.code == 500:
        return RiskscanError(INTERNAL_ERROR_DETAIL)
    return InvalidRequest("The request is not HTTP that this service understands.")
