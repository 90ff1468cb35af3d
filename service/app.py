"""create_app: builds the WSGI application from blueprints and hooks."""

from __future__ import annotations

import re

from apiflask import APIFlask
from flask_cors import CORS

from service import __version__
from service.api.ai_service import blueprint as ai_service
from service.api.api_interactions import blueprint as api_interactions
from service.api.api_keys import blueprint as api_keys
from service.api.audit_events import blueprint as audit_events
from service.api.auth import blueprint as auth
from service.api.batches import blueprint as batches
from service.api.blocks import blueprint as blocks
from service.api.cohorts import blueprint as cohorts
from service.api.course_files import blueprint as course_files
from service.api.courses import blueprint as courses
from service.api.current import EXTENSION
from service.api.deployments import blueprint as deployments
from service.api.documents import blueprint as documents
from service.api.enrolments import blueprint as enrolments
from service.api.feedback import blueprint as feedback
from service.api.files import blueprint as files
from service.api.findings import blueprint as findings
from service.api.health import blueprint as health
from service.api.http import (
    bodies,
    docs_page,
    error_handlers,
    login_cookie,
    openapi,
    paths,
    quotas,
    request_hooks,
    response_headers,
)
from service.api.http.accept import API_PATHS
from service.api.http.limits import body_too_large
from service.api.lessons import blueprint as lessons
from service.api.llm_usage import blueprint as llm_usage
from service.api.metrics import blueprint as metrics
from service.api.progress import blueprint as progress
from service.api.recommendations import blueprint as recommendations
from service.api.report_logs import blueprint as report_logs
from service.api.reports import blueprint as reports
from service.api.reviews import blueprint as reviews
from service.api.risk_files import blueprint as risk_files
from service.api.risks import blueprint as risks
from service.api.scans import blueprint as scans
from service.api.search import blueprint as search
from service.api.settings import blueprint as settings
from service.api.shares import blueprint as shares
from service.api.taxonomy import blueprint as taxonomy
from service.api.teams import blueprint as teams
from service.api.users import blueprint as users
from service.api.webhooks import blueprint as webhooks
from service.api.work_sessions import blueprint as work_sessions
from service.config.settings import Config
from service.domain.services import Services
from service.web.site import blueprint as pages

_EXPOSED_HEADERS = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Link",
    "Location",
    "Preference-Applied",
    *quotas.HEADERS,
    "Retry-After",
    "X-Request-ID",
    "X-Riskscan-Warning",
)
_BLUEPRINTS = (
    auth,
    api_keys,
    settings,
    ai_service,
    scans,
    batches,
    documents,
    findings,
    search,
    feedback,
    work_sessions,
    files,
    reviews,
    reports,
    risks,
    risk_files,
    taxonomy,
    llm_usage,
    users,
    teams,
    shares,
    webhooks,
    courses,
    lessons,
    course_files,
    enrolments,
    progress,
    cohorts,
    recommendations,
    audit_events,
    blocks,
    api_interactions,
    report_logs,
    deployments,
    health,
    pages,
)
"""In the order of the API's documentation."""
_PREFLIGHT_AGE_S = 7200  # Chromium's maximum


def create_app(services: Services) -> APIFlask:
    """Return the WSGI application for `services`; the caller opens, starts and closes these."""
    config = services.config
    app = openapi.DocumentedApp(
        "service",
        title="Riskscan",
        version=__version__,
        json_errors=False,
        docs_path=None,
        static_folder=None,  # type: ignore[arg-type]  # None disables Flask's static route
    )
    app.extensions[EXTENSION] = services
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of the default provider
    bodies.register(app, config)
    paths.register(app)
    openapi.register(app, lambda: services.taxonomy)
    docs_page.register(app)
    error_handlers.register(app, too_large=body_too_large(config))
    request_hooks.register(app)
    quotas.register(app)
    login_cookie.register(app)
    response_headers.register(app)
    _register_blueprints(app, config)
    CORS(
        app,
        resources=API_PATHS,  # not our own pages, which hold the CSRF token
        origins=[_exactly(origin) for origin in config.cors_origins],
        supports_credentials=True,
        always_send=False,
        expose_headers=[*_EXPOSED_HEADERS],
        max_age=_PREFLIGHT_AGE_S,
    )
    return app


def _exactly(origin: str) -> re.Pattern[str]:
    """Return a pattern for one origin; flask-cors takes the text http://[::1]:3000 for a pattern itself."""
    return re.compile(re.escape(origin) + r"\Z", re.IGNORECASE)


def _register_blueprints(app: APIFlask, config: Config) -> None:
    for blueprint in _BLUEPRINTS:
        app.register_blueprint(blueprint)
    if config.ops_port is None:
        app.register_blueprint(metrics)
