"""Every error as RFC 9457 problem+json: the one boundary between exceptions and HTTP."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterator
from typing import Any

from apiflask import APIFlask
from apiflask.exceptions import HTTPError
from flask import Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from service.api.http.problem_document import FIXED_500, MEDIA_TYPE, headers_of, problem
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
        Unauthenticated("This needs an access token."),
        Forbidden("This is not allowed."),
        NotFound("There is nothing at this address."),
        MethodNotAllowed("This address does not support this method; see Allow."),
        NotAcceptable("The service answers in JSON; send Accept: application/json."),
        UnsupportedMediaType("The service does not read this type of body."),
        RateLimited("The quota is used up."),
    )
}
# The caller chooses field names; without a limit, the answer could repeat a megabyte of them twice.
_MOST_FAULTS = 50
_LONGEST_NAME = 100
_log = logging.getLogger(__name__)


def register(app: APIFlask, *, too_large: str) -> None:
    """Make `app` answer every error, the framework's included, as problem+json.

    `too_large` is what a body over the limit is told; it names the settings.
    """
    app.register_error_handler(RequestEntityTooLarge, lambda _: _own(TooLarge(too_large)))
    app.register_error_handler(RiskscanError, _own)
    app.register_error_handler(HTTPError, _validation)
    app.register_error_handler(HTTPException, _framework)
    app.register_error_handler(Exception, _unexpected)


def _own(error: RiskscanError) -> Response:
    response = _respond(error.code, error.message, faults=error.faults)
    response.headers.extend(headers_of(error))
    return response


def _validation(error: HTTPError) -> Response:
    first = list(itertools.islice(_faults(error.detail), _MOST_FAULTS + 1))
    faults = tuple(first[:_MOST_FAULTS])
    sentences = [f"{f.field[:_LONGEST_NAME]}: {f.message.removesuffix('.')}" for f in faults]
    if len(first) > len(faults):
        sentences.append("and more faults")
    detail = "; ".join(sentences) or "The request is not valid"
    return _own(InvalidRequest(f"{detail}.", faults=faults))


def _faults(messages: Any, path: str = "") -> Iterator[Fault]:  # noqa: ANN401 - marshmallow's nested messages
    """Flatten marshmallow's nested messages; the outermost key is the place (query, headers...)."""
    if isinstance(messages, dict):
        for key, value in messages.items():
            yield from _faults(value, _deeper(path, str(key)))
    elif isinstance(messages, list):
        for message in messages:
            yield from _faults(message, path)
    else:
        yield Fault(path.strip(".") or "body", str(messages))


def _deeper(path: str, key: str) -> str:
    if key in {"json", "json_or_form", "form_and_files", "query", "headers", "_schema"}:
        return path
    return f"{path}.{key}"


def _framework(error: HTTPException) -> Response:
    status = error.code or 500
    if status >= 500:
        return _unexpected(error)
    response = _own(_FRAMEWORK_ERRORS.get(status, InvalidRequest("The request is not valid HTTP.")))
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After", "WWW-Authenticate"}:
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    _log.error("request failed", exc_info=error)
    return _respond("internal_error", FIXED_500)


def _respond(code: str, detail: str, *, faults: tuple[Fault, ...] = ()) -> Response:
    g.problem_code = code  # for the metrics
    shortened = tuple(Fault(f.field[:_LONGEST_NAME], f.message) for f in faults)
    body = problem(code, detail, instance=request.path, faults=shortened)
    return Response(json.dumps(body), status=body["status"], content_type=MEDIA_TYPE)
