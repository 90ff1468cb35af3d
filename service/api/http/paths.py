"""Rules for paths: positive numbers in them, /api/... as an alias of /api/v1/..., their form in OpenAPI."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from apiflask import APIFlask
from flask import Flask
from werkzeug.routing import IntegerConverter


def register(app: APIFlask) -> None:
    """Apply these rules to `app`."""
    app.url_map.converters["int"] = _PositiveNumber
    app.url_map.merge_slashes = False  # a redirect would echo the caller's Host header
    app.wsgi_app = _AliasMiddleware(app.wsgi_app)  # type: ignore[method-assign]


def documented_operations(
    spec: dict[str, Any], app: Flask
) -> Iterator[tuple[Callable[..., Any], dict[str, Any]]]:
    """Yield each operation of an OpenAPI document, after the view that answers it."""
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:[^<:]+:)?([^>]+)>", r"{\1}", rule.rule)
        for method in rule.methods or ():
            operation = spec["paths"].get(path, {}).get(method.lower())
            if operation is not None:
                yield app.view_functions[rule.endpoint], operation


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
