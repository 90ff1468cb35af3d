"""Rules for paths: positive numbers in them, and /api/... as an alias of /api/v1/..."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from apiflask import APIFlask
from werkzeug.routing import IntegerConverter


def register(app: APIFlask) -> None:
    """Apply these rules to `app`."""
    app.url_map.converters["int"] = _PositiveNumber
    app.url_map.merge_slashes = False  # a redirect would echo the caller's Host header
    app.wsgi_app = _AliasMiddleware(app.wsgi_app)  # type: ignore[method-assign]


class _PositiveNumber(IntegerConverter):
    """1 to 18 ASCII digits without leading zeros."""

    regex = r"[1-9][0-9]{0,17}"


class _AliasMiddleware:
    """Rewrites /api/... to /api/v1/... before routing, so that both reach the same view."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith("/api/") and not path.startswith("/api/v1/"):
            environ["PATH_INFO"] = f"/api/v1/{path.removeprefix('/api/')}"
        return self._app(environ, start_response)
