"""The id of the scan that this context works on; the records of outgoing calls carry it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from uuid import UUID

_SCAN_ID: ContextVar[UUID | None] = ContextVar("scan_id", default=None)


@contextlib.contextmanager
def scanning(scan_id: UUID) -> Iterator[None]:
    """Make the scan the current one within the block."""
    token = _SCAN_ID.set(scan_id)
    try:
        yield
    finally:
        _SCAN_ID.reset(token)


def current_scan_id() -> UUID | None:
    """Return the id of the current scan; None outside scans that will be stored."""
    return _SCAN_ID.get()
