"""Versions of objects as ETags; a change names one in If-Match, so that nobody overwrites another's."""

from __future__ import annotations

from typing import TypeVar

from flask import request

from service.domain.versions import Expected
from service.errors import PreconditionRequired

T = TypeVar("T")
Versioned = tuple[T, int, dict[str, str]]
"""A view's answer: the object, the status, and the ETag of its version."""
IF_MATCH_OPTIONAL = (
    "With the ETag of GET as If-Match, nothing is changed if somebody changed the object meanwhile."
)
"""For the documentation of an operation that answers 412."""


def version_etag(version: int) -> dict[str, str]:
    """Return the header of a response that shows this version of an object."""
    return {"ETag": f'"{version}"'}


def versions_to_change() -> Expected:
    """Return the versions that If-Match names; None for `*`, which is any.

    Weak ETags and those that we never sent match no version. Source: RFC 9110, section 13.1.1.

    Raises:
        PreconditionRequired: there is no If-Match.
    """
    if "If-Match" not in request.headers:
        raise PreconditionRequired("Send the ETag of the object that you read as If-Match.")
    return versions_if_named()


def versions_if_named() -> Expected:
    """Return the versions that If-Match names; None without it, and for `*`."""
    tags = request.if_match
    if "If-Match" not in request.headers or tags.star_tag:
        return None
    # Compression adds its name to a strong ETag, as in "3:zstd".
    names = {tag.partition(":")[0] for tag in tags.as_set()}
    return frozenset(int(name[:18]) for name in names if name.isascii() and name.isdigit())
