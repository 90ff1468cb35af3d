"""Error handlers: they turn every exception into RFC 9457 problem+json."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterator
from typing import Any

from apiflask import APIFlask
from apiflask.exceptions import HTTPError
from flask import Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from service.api.http.problem_document import (
    INTERNAL_ERROR_DETAIL,
    MEDIA_TYPE,
    error_headers,
    problem,
)
from service.api.http.request_context import current_context
from service.errors import (
    Fault,
    Forbidden,
    InvalidRequest,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    RateLimited,
    RiskscanError,
    TooLarge,
    Unauthenticated,
    UnsupportedMediaType,
)

_FRAMEWORK_ERRORS: dict[int, RiskscanError] = {
    error.status: error
    for error in (
        Unauthenticated("This path requires an access token."),
        Forbidden("This is not allowed."),
        NotFound("This path does not exist."),
        MethodNotAllowed("This path does not support this method; see Allow."),
        NotAcceptable("The service answers in JSON; send Accept: application/json."),
        UnsupportedMediaType("The service does not read this type of body."),
        RateLimited("The quota is exhausted."),
    )
}
# Callers choose field names; without these limits a response could repeat a megabyte of them twice.
_MAX_FAULTS = 50
_MAX_NAME_CHARS = 100
_log = logging.getLogger(__name__)


def register(app: APIFlask, *, too_large: str) -> None:
    """Register the error handlers, those for the framework's errors included.

    `too_large` is the message for a body over the limit, and names the settings.
    """
    app.register_error_handler(
        RequestEntityTooLarge, lambda _: _handle_riskscan_error(TooLarge(too_large))
    )
    app.register_error_handler(RiskscanError, _handle_riskscan_error)
    app.register_error_handler(HTTPError, _handle_validation_error)
    app.register_error_handler(HTTPException, _handle_framework_error)
    app.register_error_handler(Exception, _handle_unexpected_error)


def _handle_riskscan_error(error: RiskscanError) -> Response:
    response = _respond(error.code, error.message, faults=error.faults)
    response.headers.extend(error_headers(error))
    return response


def _handle_validation_error(error: HTTPError) -> Response:
    first = list(itertools.islice(_faults(error.detail), _MAX_FAULTS + 1))
    faults = tuple(first[:_MAX_FAULTS])
    sentences = [f"{f.field[:_MAX_NAME_CHARS]}: {f.message.removesuffix('.')}" for f in faults]
    if len(first) > len(faults):
        sentences.append("and more faults")
    detail = "; ".join(sentences) or "The request is not valid"
    return _handle_riskscan_error(InvalidRequest(f"{detail}.", faults=faults))


def _faults(messages: Any, path: str = "") -> Iterator[Fault]:  # noqa: ANN401 - marshmallow's nested messages
    """Flatten marshmallow's nested messages; the outermost key is the location (query, headers...)."""
    if isinstance(messages, dict):
        for key, value in messages.items():
            yield from _faults(value, _child_path(path, str(key)))
    elif isinstance(messages, list):
        for message in messages:
            yield from _faults(message, path)
    else:
        yield Fault(path.strip(".") or "body", str(messages))


def _child_path(path: str, key: str) -> str:
    if key in {"json", "json_or_form", "form_and_files", "form", "query", "headers", "_schema"}:
        return path
    return f"{path}.{key}"


def _handle_framework_error(error: HTTPException) -> Response:
    status = error.code or 500
    if status >= 500:
        return _handle_unexpected_error(error)
    response = _handle_riskscan_error(
        _FRAMEWORK_ERRORS.get(status, InvalidRequest("The request is not valid HTTP."))
    )
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After", "WWW-Authenticate"}:
            response.headers[name] = value
    return response


def _handle_unexpected_error(error: Exception) -> Response:
    _log.error("request failed", exc_info=error)
    return _respond("internal_error", INTERNAL_ERROR_DETAIL)


def _respond(code: str, detail: str, *, faults: tuple[Fault, ...] = ()) -> Response:
    current_context().problem_code = code
    shortened = tuple(Fault(f.field[:_MAX_NAME_CHARS], f.message) for f in faults)
    body = problem(code, detail, instance=request.path, faults=shortened)
    return Response(json.dumps(body), status=body["status"], content_type=MEDIA_TYPE)
