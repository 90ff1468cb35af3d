"""The response that sends all data of one account."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import Response

from service.api.current import services
from service.api.http.authentication import current_user
from service.domain.audit import Actor

MEDIA_TYPE = "application/zip"
ARCHIVE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A ZIP archive; its README.txt explains the files.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    },
}
"""Responses of such a path, for the OpenAPI document."""


def data_export(user_id: UUID) -> Response:
    """Return all data of an account as a streamed archive; NotFound if no account has the id."""
    archive = services().user_data.export(user_id, actor=Actor(current_user().id))
    response = Response(archive, mimetype=MEDIA_TYPE, headers={"Cache-Control": "no-store"})
    name = f"riskscan-data-{datetime.now(UTC):%Y-%m-%d}.zip"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response
