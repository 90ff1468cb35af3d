"""create_app: the only place that wires. One Analyzer set per process."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from apiflask import APIFlask
from flask import Response, after_this_request, g, has_request_context, request
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
from service.api.current import EXTENSION, services
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
from service.config.development_keys import with_development_keys
from service.config.settings import Config
from service.domain.accounts.accounts import Accounts
from service.domain.accounts.tokens import TokenMaker
from service.domain.deployments.deployments import Deployments
from service.domain.deployments.drift_monitor import DriftWatch
from service.domain.deployments.rollout import Rollout
from service.domain.deployments.shadow import Shadow
from service.domain.rate_limits import RateLimit
from service.domain.readiness import Readiness
from service.domain.reviews.reviews import Reviews
from service.domain.scans.scans import Scans
from service.domain.services import Services
from service.domain.transactions import Transactions, open_database
from service.errors import NotAcceptable, ShuttingDown
from service.nlp.analyzers.factory import open_analyzers
from service.nlp.analyzers.pool import AnalyzerPool
from service.nlp.artifacts.registry import Registry
from service.nlp.pipeline import ScanPipeline, ScanResult
from service.observability import request_id
from service.observability.logging import fields
from service.observability.metrics import Metrics

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


def create_app(config: Config, *, analyzers: AnalyzerPool | None = None) -> APIFlask:
    """Return the WSGI application with its parts opened; `close_app` releases them.

    Raises:
        ConfigError, ArtifactError: with what to do.
    """
    config = with_development_keys(config)
    app = _App("service", title="Riskscan", version=__version__, json_errors=False, docs_path=None)
    app.config.update(
        MAX_CONTENT_LENGTH=max_body_bytes(config),
        MAX_FORM_MEMORY_SIZE=max_body_bytes(config),
        MAX_FORM_PARTS=MAX_FIELDS,
    )
    app.url_map.converters["int"] = _Number
    app.url_map.merge_slashes = False  # a redirect would name whatever Host the caller sent
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of the default provider
    app.extensions[EXTENSION] = _wire(config, analyzers)
    bodies.register()
    openapi.register(app)
    docs_page.register(app)
    error_handlers.register(app, too_large=body_too_large(config))
    app.before_request(_begin)
    app.after_request(_finish)
    response_headers.register(app)
    app.teardown_request(_leave)
    nouns = (
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
    for noun in nouns:
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


def close_app(app: APIFlask) -> None:
    """Release the model, its threads and the database connections of `app`."""
    app.extensions[EXTENSION].close()


def _wire(config: Config, analyzers: AnalyzerPool | None) -> Services:
    metrics = Metrics()
    transactions = Transactions(open_database(config, pool_size=config.database_pool_size))
    analyzers = analyzers or open_analyzers(config, metrics.observer)
    tokens = TokenMaker(config)
    shadow = Shadow(transactions, on_shadowed=metrics.shadowed)
    registry = Registry(config.registry_dir, config.model_dir)
    rollout = None
    if not config.ai_service_url:
        rollout = Rollout(
            config, transactions, analyzers, registry, shadow, observer=metrics.observer
        )
    drift = DriftWatch(registry)
    listeners = (metrics.scanned, drift.observe, functools.partial(_offer, shadow))
    pipeline = ScanPipeline(
        config,
        analyzers,
        on_scanned=functools.partial(_tell, listeners),
        timed=metrics.timed,
    )
    draining = threading.Event()
    readiness = Readiness(transactions, analyzers, draining)
    _let_ask(metrics, readiness, drift, functools.partial(_in_use, config, analyzers, rollout))
    return Services(
        config=config,
        transactions=transactions,
        tokens=tokens,
        accounts=Accounts(config, transactions, tokens),
        pipeline=pipeline,
        scans=Scans(transactions, pipeline, timed=metrics.timed),
        reviews=Reviews(transactions, pipeline.text_of),
        deployments=Deployments(config, transactions, registry, rollout),
        rollout=rollout,
        shadow=shadow,
        metrics=metrics,
        readiness=readiness,
        login_quota=RateLimit(config.login_rate_limit, setting="LOGIN_RATE_LIMIT"),
        scan_quota=RateLimit(config.scan_rate_limit, setting="SCAN_RATE_LIMIT"),
        draining=draining,
    )


def _let_ask(
    metrics: Metrics,
    readiness: Readiness,
    drift: DriftWatch,
    models: Callable[[], Mapping[tuple[str, ...], float]],
) -> None:
    """Connect the metrics whose values are asked for with who knows them."""
    metrics.models.ask = models
    metrics.drift.ask = lambda: {(name,): s.psi for name, s in drift.shifts().items()}
    metrics.drift_by_chance.ask = lambda: {(n,): s.chance for n, s in drift.shifts().items()}
    metrics.ready.ask = lambda: {(): float(not readiness.report().faults)}
    metrics.database_age.ask = lambda: {(): readiness.report().age_s}


def _in_use(
    config: Config, analyzers: AnalyzerPool, rollout: Rollout | None
) -> dict[tuple[str, ...], float]:
    """Return the models in use as (role, name, version), each with 1: so Prometheus writes facts."""
    serving = analyzers.default
    found: dict[tuple[str, ...], float] = {
        ("serving", serving.model_name, serving.model_version): 1.0
    }
    if rollout is not None and rollout.shadowing is not None:
        name, _, version = rollout.shadowing.partition("/")
        found["shadow", name, version] = 1.0
    if config.llm_base_url:
        found["llm", config.llm_model, ""] = 1.0
    return found


class _App(APIFlask):
    """An application without coroutines and without temporary files."""

    request_class = bodies.FormRequest

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a view or hook as it is; otherwise each is inspected at every request."""
        return func


class _Number(IntegerConverter):
    """A positive number in a path: 1 to 18 ASCII digits without leading zeros."""

    regex = r"[1-9][0-9]{0,17}"


def _tell(listeners: Iterable[Callable[[ScanResult], None]], result: ScanResult) -> None:
    for listener in listeners:
        listener(result)


def _offer(shadow: Shadow, result: ScanResult) -> None:
    """Offer a scan to the shadow model: within a request, only after its answer has gone out."""
    if has_request_context():
        after_this_request(lambda response: _offered_on_close(response, shadow, result))
    else:
        shadow.offer(result)


def _offered_on_close(response: Response, shadow: Shadow, result: ScanResult) -> Response:
    if response.status_code < 400:
        response.call_on_close(functools.partial(shadow.offer, result))
    return response


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
    services().metrics.in_progress.inc()
    offered = request.headers.get("X-Request-ID")
    g.request_id = request_id.begin(offered, client_address=request.remote_addr)
    if request.path.startswith("/api/v1/auth/"):
        request.max_content_length = SMALL_BODY_BYTES
    if services().draining.is_set() and request.path not in PROBE_PATHS:
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
    metrics = services().metrics
    route = request.url_rule.rule if request.url_rule else None
    metrics.answered(request.method, route, response.status_code, duration_s)
    if code := g.get("problem_code"):
        metrics.refused(code)


def _leave(_error: BaseException | None) -> None:
    if "began_at_s" in g:
        services().metrics.in_progress.dec()
