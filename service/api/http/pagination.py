"""Cursors of keyset pagination, and the Link header that names the next page."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import request

from service.errors import Fault, InvalidRequest

Position = tuple[datetime, UUID]


def encode_cursor(created_at: datetime, row_id: UUID) -> str:
    """Return the opaque cursor that stands just after a row."""
    return base64.urlsafe_b64encode(f"{created_at.isoformat()} {row_id}".encode()).decode()


def decode_cursor(cursor: str) -> Position:
    """Return the position that `encode_cursor` wrote.

    Raises:
        InvalidRequest: this service did not make the cursor.
    """
    try:
        created_at, row_id = base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
        return datetime.fromisoformat(created_at).astimezone(UTC), UUID(row_id)
    except (ValueError, OverflowError) as error:
        fault = Fault("cursor", "Not a cursor of this list; take next_cursor or the Link header.")
        raise InvalidRequest(fault.message, faults=(fault,)) from error


def link_to_next(**changed: str | int | None) -> dict[str, str]:
    """Return the Link header to this list with its query changed; none when there is no next page."""
    if not any(changed.values()):
        return {}
    kept: Mapping[str, Any] = {k: v for k, v in request.args.items() if k != "page"}
    query = urlencode({**kept, **changed})
    return {"Link": f'<{request.path}?{query}>; rel="next"'}
