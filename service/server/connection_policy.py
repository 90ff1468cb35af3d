"""What the connections of one listener reject, and how much memory they may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from service.observability.tracing import Tracing
from service.server.body_spool import SpoolPolicy
from service.server.forwarded import TrustedProxies
from service.server.memory_budget import ANONYMOUS, MemoryBudget
from service.server.request_parser import UploadAuthorizer

_DEFAULT_BUDGET_BYTES = 1 << 24
"""Enough for a hundred scrapes of /metrics."""


@dataclass(frozen=True, slots=True)
class ConnectionPolicy:
    """Limits of the connections; the defaults suit a port that needs no authentication."""

    too_large_detail: str
    """The detail of a 413."""
    on_rejected: Callable[[str], None]
    """Receives the error code of each rejected request."""
    authorize_upload: UploadAuthorizer = lambda _path, _headers: ANONYMOUS
    """Decides who may send a large body."""
    body_memory: MemoryBudget = field(default_factory=lambda: MemoryBudget(_DEFAULT_BUDGET_BYTES))
    response_memory: MemoryBudget = field(
        default_factory=lambda: MemoryBudget(_DEFAULT_BUDGET_BYTES)
    )
    max_body_bytes: int = _DEFAULT_BUDGET_BYTES
    """The size at which a body is too large, unless it is an upload."""
    spool: SpoolPolicy | None = None
    """Where bodies of uploads go; None if the port takes no uploads."""
    cors_origins: tuple[str, ...] = ()
    """Origins of web pages that may read a rejection, such as that of an expired token."""
    proxies: TrustedProxies = field(default_factory=TrustedProxies)
    """Whose word counts on whether a rejected request came by HTTPS."""
    is_draining: Callable[[], bool] = lambda: False
    """Whether the process ends soon: it accepts no connection then, and closes each after one response."""
    tracing: Tracing = field(default_factory=Tracing)
    """Receives the rejected requests."""
