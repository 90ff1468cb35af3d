"""The id that links a request to its log lines, audit events and answer; and the client's address."""

from __future__ import annotations

import random
import re
from contextvars import ContextVar

_CURRENT: ContextVar[str | None] = ContextVar("request_id", default=None)
_CLIENT: ContextVar[str | None] = ContextVar("client_address", default=None)
_LONGEST_ADDRESS = 64
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{8,64}")


def begin(offered: str | None, *, client_address: str | None = None) -> str:
    """Set this thread's request id: the caller's X-Request-ID if it is harmless, else a new one.

    Set its client address too: the peer's, or the one that the trusted proxy reports, cut to 64 characters.
    """
    _CLIENT.set(client_address[:_LONGEST_ADDRESS] if client_address else None)
    usable = offered is not None and _ACCEPTED.fullmatch(offered) is not None
    # Names a request and guards nothing; asking the system would let the GIL go.
    made = f"{random.getrandbits(64):016x}"
    request_id = offered if usable and offered is not None else made
    _CURRENT.set(request_id)
    return request_id


def current_request_id() -> str | None:
    """Return the id of the request being answered, None outside of one."""
    return _CURRENT.get()


def current_client_address() -> str | None:
    """Return the client address of the current request; None outside of a request."""
    return _CLIENT.get()
