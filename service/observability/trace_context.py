"""W3C Trace Context: the trace that a request belongs to, and the headers that pass it on.

Source: https://www.w3.org/TR/trace-context/. The service adds nothing of its own to `tracestate`.
"""

from __future__ import annotations

import random
import re
from contextvars import ContextVar
from dataclasses import dataclass, field

MAX_STATE_CHARS = 512
MAX_STATE_MEMBERS = 32
_LARGE_MEMBER_CHARS = 128
SAMPLED = 0x01
_KNOWN_FLAGS = SAMPLED | 0x02  # random trace id
_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?P<more>-.*)?"
)
_KEY = r"[a-z0-9][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}"
_VALUE = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER = re.compile(rf"(?:{_KEY})={_VALUE}")


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace: 32 hexadecimal digits, the caller's flags and its tracestate.

    `span_id` is that of this request, 16 hexadecimal digits; `parent_id` the caller's, empty without one.
    """

    trace_id: str
    flags: int = 0
    state: str = ""
    parent_id: str = field(default="", compare=False)
    span_id: str = field(default_factory=lambda: _random_hex(64), compare=False)

    @property
    def is_sampled(self) -> bool:
        """Whether the caller records the trace."""
        return bool(self.flags & SAMPLED)

    def headers(self) -> dict[str, str]:
        """Return the headers of a call that belongs to this trace, with a new span id."""
        headers = {"traceparent": f"00-{self.trace_id}-{_random_hex(64)}-{self.flags:02x}"}
        if self.state:
            headers["tracestate"] = self.state
        return headers


_TRACE: ContextVar[Trace | None] = ContextVar("trace", default=None)


def begin(traceparent: str | None, tracestate: str | None, *, new_flags: int = 0) -> None:
    """Set the trace of this context: the caller's if `traceparent` is valid, else one with `new_flags`."""
    _TRACE.set(read(traceparent, tracestate) or Trace(_random_hex(128), new_flags))


def current_trace() -> Trace | None:
    """Return the trace of the current request; None outside of a request."""
    return _TRACE.get()


def read(traceparent: str | None, tracestate: str | None) -> Trace | None:
    """Return the trace of these headers; None if `traceparent` is missing or invalid."""
    match = _TRACEPARENT.fullmatch((traceparent or "").strip())
    if match is None or match["version"] == "ff" or (match["version"] == "00" and match["more"]):
        return None
    if not int(match["trace"], 16) or not int(match["span"], 16):
        return None
    flags = int(match["flags"], 16) & _KNOWN_FLAGS
    return Trace(match["trace"], flags, read_state(tracestate), parent_id=match["span"])


def read_state(tracestate: str | None) -> str:
    """Return a tracestate of at most 512 characters; empty if it is invalid.

    If it is too long, drop members of more than 128 characters, then the last ones.
    """
    members = [m.strip(" \t") for m in (tracestate or "").split(",")]
    members = [m for m in members if m]
    keys = {m.partition("=")[0] for m in members}
    if len(members) > MAX_STATE_MEMBERS or len(keys) < len(members):
        return ""
    if not all(_MEMBER.fullmatch(m) for m in members):
        return ""
    if len(",".join(members)) > MAX_STATE_CHARS:
        members = [m for m in members if len(m) <= _LARGE_MEMBER_CHARS]
    while len(",".join(members)) > MAX_STATE_CHARS:
        members.pop()
    return ",".join(members)


def _random_hex(n_bits: int) -> str:
    """Return hexadecimal digits that are not all zero. They protect nothing."""
    return f"{random.getrandbits(n_bits) or 1:0{n_bits // 4}x}"
