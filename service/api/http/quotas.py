"""Spends rate limits for the current request, and adds the RateLimit header fields to its response.

The fields are those of draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

from apiflask import APIFlask
from flask import Response, request

from service.api.current import services
from service.api.http.limits import PROBE_PATHS
from service.api.http.request_context import current_context, has_context
from service.domain.rate_limits import RateLimit
from service.observability.client_address import limit_key

HEADERS = ("RateLimit", "RateLimit-Policy")
_NOT_COUNTED = ("/static/", "/docs/", "/metrics")


def register(app: APIFlask) -> None:
    """Add the header fields to every response to a request that spent a quota."""
    app.after_request(_add_headers)


def spend(limit: RateLimit, caller: str) -> None:
    """Count one call by `caller`; RateLimited if the quota is used up."""
    try:
        limit.spend(caller)
    finally:
        quota = limit.quota(caller)
        if quota is not None:
            current_context().quotas.append(quota)


def spend_address() -> None:
    """Count the request against ADDRESS_RATE_LIMIT, unless it is a probe or asks for a file of the pages."""
    if request.path not in PROBE_PATHS and not request.path.startswith(_NOT_COUNTED):
        spend(services().address_quota, limit_key(request.remote_addr))


def _add_headers(response: Response) -> Response:
    if has_context() and (quotas := current_context().quotas):
        nearest = min(quotas, key=lambda quota: quota.remaining / quota.limit)
        response.headers["RateLimit"] = (
            f'"{nearest.name}";r={nearest.remaining};t={nearest.more_after_s}'
        )
        policies = (f'"{q.name}";q={q.limit};w={q.window_s}' for q in quotas)
        response.headers["RateLimit-Policy"] = ", ".join(dict.fromkeys(policies))
    return response
