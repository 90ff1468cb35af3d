"""Versions of objects as ETags; a change names one in If-Match, so that nobody overwrites another's."""

from __future__ import annotations

from flask import request

from service.errors import PreconditionFailed, PreconditionRequired


def version_etag(version: int) -> dict[str, str]:
    """Return the header of a response that shows this version of an object."""
    return {"ETag": f'"{version}"'}


def version_to_change() -> int | None:
    """Return the version that If-Match names; None for `*`, which is any.

    Raises:
        PreconditionRequired: there is no If-Match.
        PreconditionFailed: it names no version.
    """
    tags = request.if_match
    if "If-Match" not in request.headers:
        raise PreconditionRequired("Send the ETag of the object that you read as If-Match.")
    if tags.star_tag:
        return None
    # Compression adds its name to a strong ETag, as in "3:zstd".
    versions = [tag.partition(":")[0] for tag in tags.as_set()]
    if len(versions) != 1 or not versions[0].isascii() or not versions[0].isdigit():
        raise PreconditionFailed("If-Match names no version of this object; read it again.")
    return int(versions[0][:18])
