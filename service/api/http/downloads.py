"""Responses that send stored bytes from the disk: ranges, ETag, and a file name that is safe to save."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from flask import Response, request
from werkzeug.http import parse_range_header
from werkzeug.wsgi import wrap_file

from service.api.http.request_headers import RequestHeader, reads
from service.api.http.response_headers import IF_NONE_MATCH
from service.api.http.wsgi_environ import ON_DISK_KEY
from service.domain.files.file_range import FileRange
from service.errors import RangeNotSatisfiable

CONTENT_PATHS = (
    "/content",
    "/original",
    "/audit-events/export",
    "/data",
    "/cohort/export",
    "/risks/export",
    "/report",
    "/reports",
    "/reports/link",
)
"""Ends of the paths that send bytes; their clients need not accept JSON."""
BYTES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The whole file, also if Range names several parts",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
}
"""The response of such a path, for the OpenAPI document."""
_RANGE = RequestHeader(
    "Range",
    "The bytes to send, as in `bytes=0-1023`. Several ranges and other units are ignored.",
    answers={
        "206": {"description": "The part of the file that Range names"},
        "416": {"description": "The file ends before the range"},
    },
)
_IF_RANGE = RequestHeader(
    "If-Range",
    "The ETag of the part that the caller has; another sends the whole file.",
    answers={},
)
ranged = reads(IF_NONE_MATCH, _RANGE, _IF_RANGE)
"""Decorates a view that answers with `download`."""
_MAX_NAME_BYTES = 200  # file systems take 255; browsers add an ending while they download
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(\.|$)")


def download(
    open_range: Callable[[int, int], FileRange],
    *,
    size_bytes: int,
    sha256: str,
    name: str,
    media_type: str,
) -> Response:
    """Return the response to a GET for stored bytes: 200, 206 or 304.

    `open_range` returns the bytes from a start to an end (exclusive).

    Raises:
        RangeNotSatisfiable: the requested range begins after the last byte.
    """
    etag = f'"{sha256}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition(name),
    }
    if request.if_none_match.contains(sha256):
        return Response(status=304, headers=headers)
    wanted = _wanted_range(etag, size_bytes)
    start, end = wanted or (0, size_bytes)
    headers["Content-Length"] = str(end - start)
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
    request.environ[ON_DISK_KEY] = True
    file = open_range(start, end)
    return Response(
        wrap_file(request.environ, file),  # type: ignore[arg-type]  # a raw file is binary too
        status=206 if wanted else 200,
        headers=headers,
        content_type=media_type,
        direct_passthrough=True,
    )


def disposition(name: str) -> str:
    """Return Content-Disposition for saving a file under `name`, which any client's system can store.

    Names of Windows devices begin with an underscore, and underscores replace characters with a meaning in
    paths. Long names keep their extension.
    """
    safe = _UNSAFE.sub("_", name).strip(" .") or "file"
    if _DEVICE.match(safe):
        safe = f"_{safe}"
    safe = _shortened(safe)
    ascii_only = safe.encode("ascii", "replace").decode().replace("?", "_").replace("%", "_")
    encoded = quote(safe.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{ascii_only}\"; filename*=UTF-8''{encoded}"


def _shortened(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > 20:
        stem, dot, extension = name, "", ""
    room = _MAX_NAME_BYTES - len((dot + extension).encode("utf-8", "replace"))
    return stem.encode("utf-8", "replace")[:room].decode("utf-8", "ignore") + dot + extension


def _wanted_range(etag: str, size_bytes: int) -> tuple[int, int] | None:
    """Return start and end of the one range that the request names; None for the whole file.

    RFC 9110 lets a server ignore Range; this one ignores several ranges, other units and malformed ones. It
    defines Range for GET alone.
    """
    if request.method != "GET":
        return None
    wanted = parse_range_header(request.headers.get("Range"))
    is_outdated = request.headers.get("If-Range", etag) != etag
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1 or is_outdated:
        return None
    limits = wanted.range_for_length(size_bytes)
    if limits is None:
        raise RangeNotSatisfiable(
            f"The file has {size_bytes:,} bytes; the range begins after them.",
            size_bytes=size_bytes,
        )
    return limits
