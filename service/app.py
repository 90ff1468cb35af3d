"""create_app: blueprints and hooks over the services of the process."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from apiflask import APIFlask
from flask import Response, g, request
from flask_cors import CORS
from werkzeug.routing import IntegerConverter

from service import __version__
from service.api import (
    ai_service,
    audit_events,
    auth,
    deployments,
    feedback,
    findings,
    health,
    metrics,
    scans,
    taxonomy,
)
from service.api.current import EXTENSION
from service.api.current import services as current_services
from service.api.http import bodies, docs_page, error_handlers, openapi, response_headers
from service.api.http.buffer_memory import USER_KEY
from service.api.http.limits import (
    MAX_FIELDS,
    PROBE_PATHS,
    SMALL_BODY_BYTES,
    body_too_large,
    max_body_bytes,
)
from service.api.http.problem_document import MEDIA_TYPE
from service.domain.services import Services
from service.errors import NotAcceptable, ShuttingDown
from service.observability import request_id
from service.observability.logging import fields

_NOUNS = (
    auth,
    ai_service,
    scans,
    findings,
    feedback,
    taxonomy,
    audit_events,
    deployments,
    health,
)
_SERVED = ("application/json", MEDIA_TYPE)
_EXPOSED_HEADERS = (
    "ETag",
    "Link",
    "Location",
    "Retry-After",
    "X-Request-ID",
    "X-Riskscan-Warning",
)
_PREFLIGHT_AGE_S = 7200  # Chromium's maximum
_PAGES = ("/docs", "/openapi.json", "/metrics")  # not JSON, or JSON for whoever asks
_log = logging.getLogger(__name__)


def create_app(services: Services) -> APIFlask:
    """Return the WSGI application over `services`, which the caller opens, starts and closes."""
    config = services.config
    app = _App("service", title="Riskscan", version=__version__, json_errors=False, docs_path=None)
    app.config.update(
        MAX_CONTENT_LENGTH=max_body_bytes(config),
        MAX_FORM_MEMORY_SIZE=max_body_bytes(config),
        MAX_FORM_PARTS=MAX_FIELDS,
    )
    app.url_map.converters["int"] = _Number
    app.url_map.merge_slashes = False  # a redirect would name whatever Host the caller sent
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of the default provider
    app.extensions[EXTENSION] = services
    bodies.register()
    openapi.register(app)
    docs_page.register(app)
    error_handlers.register(app, too_large=body_too_large(config))
    app.before_request(_begin)
    app.after_request(_finish)
    response_headers.register(app)
    app.teardown_request(_leave)
    for noun in _NOUNS:
        app.register_blueprint(noun.blueprint)
    if config.ops_port is None:
        app.register_blueprint(metrics.blueprint)
    CORS(
        app,
        origins=list(config.cors_origins),
        supports_credentials=True,
        always_send=False,
        expose_headers=[*_EXPOSED_HEADERS],
        max_age=_PREFLIGHT_AGE_S,
    )
    app.wsgi_app = _AliasMiddleware(app.wsgi_app)  # type: ignore[method-assign]
    return app


class _App(APIFlask):
    """An application without coroutines and without temporary files."""

    request_class = bodies.FormRequest

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a view or hook as it is; otherwise each is inspected at every request."""
        return func


class _Number(IntegerConverter):
    """A positive number in a path: 1 to 18 ASCII digits without leading zeros."""

    regex = r"[1-9][0-9]{0,17}"


class _AliasMiddleware:
    """Reads /api/... as /api/v1/..., before routing, so that both names reach the same view."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith("/api/") and not path.startswith("/api/v1/"):
            environ["PATH_INFO"] = f"/api/v1/{path.removeprefix('/api/')}"
        return self._app(environ, start_response)


def _begin() -> None:
    g.began_at_s = time.monotonic()
    current_services().metrics.in_progress.inc()
    offered = request.headers.get("X-Request-ID")
    g.request_id = request_id.begin(offered, client_address=request.remote_addr)
    if request.path.startswith("/api/v1/auth/"):
        request.max_content_length = SMALL_BODY_BYTES
    if current_services().draining.is_set() and request.path not in PROBE_PATHS:
        raise ShuttingDown("This process is shutting down; send the request again.")
    if (
        not (request.path == "/" or request.path.startswith(_PAGES))
        and request.accept_mimetypes
        and not request.accept_mimetypes.best_match(_SERVED)
    ):
        raise NotAcceptable("The answer is JSON; send Accept: application/json.")


def _finish(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    account_id = _account_id()
    if account_id is not None:
        request.environ[USER_KEY] = str(account_id)
    duration_s = time.monotonic() - g.began_at_s
    _count(response, duration_s)
    _log.info(
        "request",
        extra=fields(
            method=request.method,
            path=request.path,  # never the query: it may quote a document
            status=response.status_code,
            duration_ms=round(duration_s * 1000, 1),
            user_id=account_id,
            client_address=request_id.current_client_address(),
        ),
    )
    return response


def _account_id() -> UUID | None:
    """Return the account of the request: the token's, or the one that has just logged in."""
    user = g.get("flask_httpauth_user")
    account_id: UUID | None = user.id if user else g.get("account_id")
    return account_id


def _count(response: Response, duration_s: float) -> None:
    counters = current_services().metrics
    route = request.url_rule.rule if request.url_rule else None
    counters.answered(request.method, route, response.status_code, duration_s)
    if code := g.get("problem_code"):
        counters.refused(code)


def _leave(_error: BaseException | None) -> None:
    if "began_at_s" in g:
        current_services().metrics.in_progress.dec()
