"""ETags that name an object's version, and If-Match: a change must not undo one that its author did not see.

The ETags are strong, as RFC 9110 (section 13.1.1) compares them for If-Match. Compression adds its name to
them, and proxies that compress make them weak, so both forms name the version too.
"""

from __future__ import annotations

import re

from flask import request

from service.errors import Fault, InvalidRequest, PreconditionRequired

IF_MATCH = "Send the ETag of the response that you change as If-Match; 412 means that it has changed since."
"""Describes such a change in the OpenAPI document."""
_ETAG = re.compile(r"([0-9]{1,9})(:[a-z]+)?")


def version_etag(version: int) -> tuple[str, str]:
    """Return the ETag header of an object's version."""
    return "ETag", f'"{version}"'


def expected_versions(*, is_required: bool = True) -> frozenset[int] | None:
    """Return the versions in If-Match, one of which the object must have; None for `*`, or without it.

    Raises:
        PreconditionRequired: the request has no If-Match, and `is_required`.
        InvalidRequest: it names an ETag that this service did not send.
    """
    header = request.headers.get("If-Match", "").strip()
    if not header:
        if is_required:
            raise PreconditionRequired(
                "Send the object's ETag as If-Match, from the GET before; `If-Match: *` changes any version."
            )
        return None
    if header == "*":
        return None
    matches = [_ETAG.fullmatch(tag) for tag in request.if_match.as_set(include_weak=True)]
    versions = [int(match[1]) for match in matches if match]
    if not versions or len(versions) < len(matches):
        fault = Fault("If-Match", "Not an ETag of this service; send it as the GET returned it.")
        raise InvalidRequest(fault.message, faults=(fault,))
    return frozenset(versions)
