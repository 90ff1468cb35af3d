"""The scan that this context works on: records of outgoing calls and the LLM's budget name it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class CurrentScan:
    """A scan for an account; `user_id` is None without one, `scan_id` if the scan will not be stored."""

    scan_id: UUID | None
    user_id: UUID | None


_CURRENT: ContextVar[CurrentScan | None] = ContextVar("scan", default=None)


@contextlib.contextmanager
def scanning(scan_id: UUID | None, user_id: UUID | None) -> Iterator[None]:
    """Make the scan the current one within the block."""
    token = _CURRENT.set(CurrentScan(scan_id, user_id))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current_scan() -> CurrentScan | None:
    """Return the current scan; None in a command."""
    return _CURRENT.get()
