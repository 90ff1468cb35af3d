"""Pages of lists: keyset cursors, the items of one page, and the Link header of the next."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from flask import request

from service.errors import Fault, InvalidRequest

Position = tuple[datetime, UUID]
"""Creation time and id of a row."""
Listing = tuple[dict[str, Any], dict[str, str]]
"""Body and headers of a response."""
Row = TypeVar("Row")


def cursor_page(
    query: Mapping[str, Any],
    load: Callable[..., Sequence[Any]],
    *,
    show: Callable[[Any], object] = lambda row: row,
) -> Listing:
    """Return one page of rows that are sorted by creation time and id.

    Args:
        query: the validated query, with `per_page` and perhaps `cursor`.
        load: returns the rows in order, given `limit` and `after` (a position or None).
        show: turns a row into an item of the response.
    """
    per_page = query["per_page"]
    rows, last = split_page(load(limit=per_page + 1, after=position(query)), per_page)
    cursor = encode_cursor(last.created_at, last.id) if last else None
    return listing([show(row) for row in rows], "cursor", cursor)


def numbered_page(
    query: Mapping[str, Any], parameter: str, load: Callable[..., Sequence[Any]]
) -> Listing:
    """Return one page of rows that are sorted by their number `n`.

    Calls `load` with `limit` and `<parameter>_n`, which is the number in the query or None.
    """
    per_page = query["per_page"]
    rows = load(limit=per_page + 1, **{f"{parameter}_n": query.get(parameter)})
    rows, last = split_page(rows, per_page)
    return listing(rows, parameter, last.n if last else None)


def split_page(rows: Sequence[Row], per_page: int) -> tuple[Sequence[Row], Row | None]:
    """Return the rows of one page, and the last of them if another page follows.

    `rows` has one row more than a page if another page follows.
    """
    return rows[:per_page], rows[per_page - 1] if len(rows) > per_page else None


def listing(
    items: Sequence[object], parameter: str, next_value: str | int | None, **more: object
) -> Listing:
    """Return the response of a list: `items`, `next_<parameter>`, `more` fields, and the Link header.

    `next_value` is the value of `parameter` that requests the next page; None on the last page.
    """
    body = {"items": items, f"next_{parameter}": next_value, **more}
    return body, link_to_next(**{parameter: next_value})


def position(query: Mapping[str, Any]) -> Position | None:
    """Return the position after which the page starts; None without a cursor."""
    return decode_cursor(query["cursor"]) if "cursor" in query else None


def encode_cursor(created_at: datetime, row_id: UUID) -> str:
    """Return the opaque cursor of the page that starts after a row."""
    return _encode(created_at.isoformat(), str(row_id))


def decode_cursor(cursor: str) -> Position:
    """Return the position that `encode_cursor` wrote.

    Raises:
        InvalidRequest: the cursor is malformed.
    """
    with _decoded(cursor) as (created_at, row_id):
        return datetime.fromisoformat(created_at).astimezone(UTC), UUID(row_id)


def encode_numbered(created_at: datetime, row_id: UUID, n: int) -> str:
    """Return the opaque cursor of the page that starts after number `n` of a row."""
    return _encode(created_at.isoformat(), str(row_id), str(n))


def decode_numbered(cursor: str) -> tuple[datetime, UUID, int]:
    """Return the position that `encode_numbered` wrote; raises as `decode_cursor` does."""
    with _decoded(cursor) as (created_at, row_id, n):
        return datetime.fromisoformat(created_at).astimezone(UTC), UUID(row_id), int(n) % 2**31


@contextlib.contextmanager
def _decoded(cursor: str) -> Iterator[list[str]]:
    """Yield the parts of a cursor; a ValueError of the block becomes InvalidRequest."""
    try:
        yield base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
    except (ValueError, OverflowError) as error:
        fault = Fault("cursor", "Not a cursor of this list; use next_cursor or the Link header.")
        raise InvalidRequest(fault.message, faults=(fault,)) from error


def _encode(*parts: str) -> str:
    return base64.urlsafe_b64encode(" ".join(parts).encode()).decode()


def link_to_next(**changed: str | int | None) -> dict[str, str]:
    """Return the Link header to this list with its query changed; empty without a next page."""
    if not any(changed.values()):
        return {}
    unchanged = {k: v for k, v in request.args.items() if k != "page"}
    query = urlencode({**unchanged, **changed})
    return {"Link": f'<{request.path}?{query}>; rel="next"'}
