"""Hooks around every request: request id, limits, rejections, metrics and the log line."""

from __future__ import annotations

import ipaddress
import logging
import time
from functools import lru_cache

from apiflask import APIFlask
from flask import Response, request

from service.api.current import services
from service.api.http.accept import prefers_page, read_accept
from service.api.http.downloads import CONTENT_PATHS
from service.api.http.limits import PROBE_PATHS, SMALL_BODY_BYTES
from service.api.http.problem_document import MEDIA_TYPE
from service.api.http.quotas import spend_address
from service.api.http.request_context import begin_context, current_context, has_context
from service.api.http.wsgi_environ import USER_ID_KEY
from service.errors import HttpsRequired, NotAcceptable
from service.observability import request_id
from service.observability.logging import fields
from service.observability.metrics import UNMATCHED

PAGES = "pages"
"""The blueprint whose responses are HTML and its assets."""
_ACCOUNT_PATHS = "/api/v1/auth/"
_MEDIA_TYPES = ("application/json", MEDIA_TYPE)
_OTHER_MEDIA_TYPES = ("/docs", "/openapi.json", "/metrics")
_PLAIN_HTTP = (
    "This service answers plain HTTP only on its own machine. Use the https:// address of the proxy in "
    "front of it. Operators: set TRUSTED_PROXY to that proxy's address, and let it send "
    "X-Forwarded-Proto; in a network that nobody else can read, ALLOW_PLAIN_HTTP=true allows plain HTTP."
)
_log = logging.getLogger(__name__)


def register(app: APIFlask) -> None:
    """Add the hooks to `app`. Flask runs those before a request in this order, those after it in reverse."""
    hooks = (
        _identify,
        _refuse_blocked,
        _require_https,
        spend_address,
        _limit_account_bodies,
        _check_accept,
    )
    for before in hooks:
        app.before_request(before)
    for after in (_count_and_log, _name_user_for_server, _send_request_id):
        app.after_request(after)
    app.teardown_request(_leave_in_progress)


def _identify() -> None:
    offered = request.headers.get("X-Request-ID")
    own_id = request_id.begin(
        offered,
        client_address=request.remote_addr,
        traceparent=request.headers.get("traceparent"),
        tracestate=request.headers.get("tracestate"),
        new_trace_flags=services().tracing.new_trace_flags,
    )
    begin_context(own_id)
    services().metrics.in_progress.inc()


def _refuse_blocked() -> None:
    if request.path not in PROBE_PATHS:
        services().blocks.check(request.remote_addr)


def _require_https() -> None:
    config = services().config
    if config.riskscan_env != "production" or config.allow_plain_http:
        return
    # Only TRUSTED_PROXY can say https: from others the server drops X-Forwarded-Proto.
    if (
        request.scheme != "https"
        and not _is_local(request.remote_addr)
        and request.path not in PROBE_PATHS
    ):
        raise HttpsRequired(_PLAIN_HTTP)


def _is_local(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def _limit_account_bodies() -> None:
    if request.path.startswith(_ACCOUNT_PATHS) or request.blueprint == PAGES:
        request.max_content_length = SMALL_BODY_BYTES


def _check_accept() -> None:
    if request.blueprint == PAGES or request.path.startswith(_OTHER_MEDIA_TYPES):
        return
    if request.path.endswith(CONTENT_PATHS) or prefers_page():
        return
    if not _is_json_accepted(request.headers.get("Accept", "")):
        raise NotAcceptable("The response is JSON; send Accept: application/json.")


@lru_cache(maxsize=256)
def _is_json_accepted(accept: str) -> bool:
    accepted = read_accept(accept)
    return not accepted or accepted.best_match(_MEDIA_TYPES) is not None


def _send_request_id(response: Response) -> Response:
    response.headers["X-Request-ID"] = current_context().request_id
    return response


def _name_user_for_server(response: Response) -> Response:
    """Name the user to the server, which counts an unread response against that user's share of memory."""
    account_id = current_context().account_id
    if account_id is not None:
        request.environ[USER_ID_KEY] = str(account_id)
    return response


def _count_and_log(response: Response) -> Response:
    context = current_context()
    duration_s = time.monotonic() - context.began_at_s
    route = request.url_rule.rule if request.url_rule else None
    metrics = services().metrics
    metrics.count_request(request.method, route, response.status_code, duration_s)
    services().tracing.request_ended(
        request.method, route or UNMATCHED, response.status_code, duration_s
    )
    if context.problem_code:
        metrics.count_problem(context.problem_code)
    _log.info(
        "request",
        extra=fields(
            method=request.method,
            path=request.path,  # without the query, which may quote a document
            status=response.status_code,
            duration_ms=round(duration_s * 1000, 1),
            user_id=context.account_id,
            client_address=request_id.current_client_address(),
        ),
    )
    return response


def _leave_in_progress(_error: BaseException | None) -> None:
    if has_context():
        services().metrics.in_progress.dec()
