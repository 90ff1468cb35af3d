"""Versions of objects as ETags; a change names one in If-Match, so that nobody overwrites another's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar

from flask import request

from service.api.http.request_headers import RequestHeader, reads
from service.domain.versions import Expected
from service.errors import PreconditionRequired

T = TypeVar("T")
View = TypeVar("View", bound=Callable[..., Any])
Versioned = tuple[T, int, dict[str, str]]
"""A view's answer: the object, the status, and the ETag of its version."""
_IF_MATCH = RequestHeader(
    "If-Match",
    "The ETag of the object that the caller read, or several: nothing is changed if somebody changed the "
    "object meanwhile. `*` means any version.",
    answers={"412": {"description": "Somebody changed the object meanwhile"}},
)
_IF_MATCH_NEEDED = replace(
    _IF_MATCH,
    required=True,
    answers={**_IF_MATCH.answers, "428": {"description": "If-Match is needed"}},
)


def version_etag(version: int) -> dict[str, str]:
    """Return the header of a response that shows this version of an object."""
    return {"ETag": f'"{version}"'}


def takes_if_match(view: View) -> View:
    """Pass the versions that If-Match names to a view as `expected`; None without it, and for `*`.

    Weak ETags and those that we never sent match no version. Source: RFC 9110, section 13.1.1.
    """
    return _passing_versions(view, _IF_MATCH)


def needs_if_match(view: View) -> View:
    """Do as `takes_if_match`, but refuse a request without If-Match with 428."""
    return _passing_versions(view, _IF_MATCH_NEEDED)


def _passing_versions(view: View, header: RequestHeader) -> View:
    @wraps(view)
    def respond(**arguments: Any) -> Any:  # noqa: ANN401 - any view's
        if header.required and header.name not in request.headers:
            raise PreconditionRequired("Send the ETag of the object that you read as If-Match.")
        return view(**arguments, expected=_versions_named())

    return reads(header)(respond)  # type: ignore[return-value]  # wraps keeps the signature


def _versions_named() -> Expected:
    tags = request.if_match
    if "If-Match" not in request.headers or tags.star_tag:
        return None
    # Compression adds its name to a strong ETag, as in "3:zstd". werkzeug reads the empty ETag as None.
    names = {tag.partition(":")[0] for tag in tags.as_set() if tag}
    return frozenset(int(name[:18]) for name in names if name.isascii() and name.isdigit())
