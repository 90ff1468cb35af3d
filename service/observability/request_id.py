"""The request id, which links a request to its log lines, events and response; and the client address."""

from __future__ import annotations

import random
import re
from contextvars import ContextVar

from service.observability import trace_context

_REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
_CLIENT_ADDRESS: ContextVar[str | None] = ContextVar("client_address", default=None)
_MAX_ADDRESS_CHARS = 64
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{8,64}")


def begin(
    offered: str | None,
    *,
    client_address: str | None = None,
    traceparent: str | None = None,
    tracestate: str | None = None,
    new_trace_flags: int = 0,
) -> str:
    """Set and return this thread's request id: the caller's X-Request-ID if it is harmless, else a new one.

    Also set the client address, cut to 64 characters: the peer's, or the one that the trusted proxy reports;
    and the trace (see trace_context).
    """
    trace_context.begin(traceparent, tracestate, new_flags=new_trace_flags)
    _CLIENT_ADDRESS.set(client_address[:_MAX_ADDRESS_CHARS] if client_address else None)
    request_id = offered if offered and _ACCEPTED.fullmatch(offered) else _new_id()
    _REQUEST_ID.set(request_id)
    return request_id


def current_request_id() -> str | None:
    """Return the id of the current request; None outside of a request."""
    return _REQUEST_ID.get()


def current_client_address() -> str | None:
    """Return the client address of the current request; None outside of a request."""
    return _CLIENT_ADDRESS.get()


def _new_id() -> str:
    """Return 16 hexadecimal digits. They protect nothing; the system's generator would release the GIL."""
    return f"{random.getrandbits(64):016x}"
