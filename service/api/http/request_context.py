"""The state of the current request. Our code stores nothing else in Flask's `g`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from uuid import UUID

from flask import g, has_app_context

from service.domain.accounts.tokens import AccessClaims
from service.domain.api_keys.api_keys import KeyGrant
from service.domain.preferences import Preferences
from service.domain.rate_limits import Quota
from service.errors import Unauthenticated


@dataclass(slots=True)
class RequestContext:
    """State that hooks, authentication and error handlers record about one request."""

    request_id: str
    began_at_s: float = field(default_factory=time.monotonic)
    claims: AccessClaims | None = None
    """The claims of a valid access token."""
    key_grant: KeyGrant | None = None
    """The valid API key, and what it may do."""
    token_error: Unauthenticated | None = None
    """Why the access token or the API key was rejected."""
    account_id: UUID | None = None
    """The account that sent the token or key, logged in or was registered."""
    preferences: Preferences = field(default_factory=Preferences)
    """The settings of the account that sent the token or key."""
    quotas: list[Quota] = field(default_factory=list)
    """What is left of the rate limits that the request spent."""
    problem_code: str | None = None
    """The code of the error response."""


def begin_context(request_id: str) -> None:
    """Start the context of the current request."""
    g.request_context = RequestContext(request_id)


def has_context() -> bool:
    """Return whether the current request has begun."""
    return has_app_context() and "request_context" in g


def current_context() -> RequestContext:
    """Return the context of the current request."""
    context: RequestContext = g.request_context
    return context
