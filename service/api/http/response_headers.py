"""Headers of every response: caching, browser policies, ETags, warnings and compression."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, TypeVar

from apiflask import APIFlask
from flask import Response, after_this_request, request
from flask_compress import Compress

from db.tables import Scan
from service.api.http.request_headers import RequestHeader, reads
from service.api.http.security_headers import DEFAULTS, FIXED, HSTS, NO_STORE

Headers = dict[str, str | list[str]]
"""Headers that a view adds to its response; a list is one header for each of its values."""
View = TypeVar("View", bound=Callable[..., Any])

REVALIDATE = "private, no-cache"
MIN_COMPRESSED_BYTES = 1024
_COMPRESSED = ["application/json", "application/problem+json"]
# Compressed together with the caller's input, tokens would leak through the response's length (BREACH).
_NEVER_COMPRESSED = ("/api/v1/auth/", "/api/v1/users")
IF_NONE_MATCH = RequestHeader(
    "If-None-Match",
    "An ETag of an earlier response: the answer is 304, without a body, if it is still the current one.",
    answers={"304": {"description": "The resource has not changed: its ETag equals If-None-Match"}},
)
WARNING_HEADER = "X-Riskscan-Warning"
_UNSAFE_IN_HEADERS = re.compile(r"[^ -~]")


def register(app: APIFlask) -> None:
    """Add headers to every response of `app`, and compress JSON of 1 kB and more."""
    app.config.update(
        COMPRESS_ALGORITHM=["zstd", "gzip"],
        COMPRESS_MIMETYPES=_COMPRESSED,
        COMPRESS_MIN_SIZE=MIN_COMPRESSED_BYTES,
        COMPRESS_STREAMS=False,
        COMPRESS_EVALUATE_CONDITIONAL_REQUEST=False,  # `etagged` does, before compression
        COMPRESS_REGISTER=False,
    )
    app.after_request(functools.partial(_add_headers, Compress(app)))


def etagged(cache_control: str = NO_STORE) -> Callable[[View], View]:
    """Add an ETag to a view's responses; a request with it in If-None-Match gets 304 without a body.

    Place it above the view's other decorators, so that it sees the finished response.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def respond(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any view's
            after_this_request(functools.partial(_make_conditional, cache_control))
            return view(*args, **kwargs)

        return reads(IF_NONE_MATCH)(respond)  # type: ignore[return-value]  # wraps keeps the signature

    return decorate


def warning_headers(warnings: list[dict[str, str]]) -> Headers:
    """Return a header for each warning; the bodies have fixed keys and cannot hold them."""
    lines = [f"{warning['code']}: {warning['message']}" for warning in warnings]
    return {WARNING_HEADER: [_UNSAFE_IN_HEADERS.sub("?", line) for line in lines]} if lines else {}


def scan_headers(scan: Scan) -> Headers:
    """Return the headers of a response with a new scan: its address and its warnings."""
    return {
        "Location": f"/api/v1/scans/{scan.id}",
        **warning_headers(scan.coverage.get("warnings", [])),
    }


def _make_conditional(cache_control: str, response: Response) -> Response:
    if response.status_code == 200:
        response.headers["Cache-Control"] = cache_control
        response.add_etag(weak=True)  # weak, so that it also holds for the compressed response
        response.make_conditional(request)
    return response


def _add_headers(compress: Compress, response: Response) -> Response:
    headers = response.headers
    for name, value in (*FIXED, *([HSTS] if request.is_secure else [])):
        headers[name] = value
    for name, value in DEFAULTS:
        headers.setdefault(name, value)
    headers.add("Vary", "Origin")  # flask-cors omits it if only one origin is allowed
    if not request.path.startswith(_NEVER_COMPRESSED):
        compress.after_request(response)
    return response
