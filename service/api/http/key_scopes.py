"""Which routes accept API keys: a view names the scope that a key needs; any other view needs a log-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, request

from db.tables import Scope
from service.api.http.paths import documented_operations
from service.api.http.request_context import current_context
from service.errors import Forbidden

View = TypeVar("View", bound=Callable[..., Any])

_ATTRIBUTE = "key_scope"  # the decorators above copy it to their wrappers
_KEY_SCHEMES = ("apiKey", "apiKeyAuthorization")
_LOG_IN = "API keys cannot use this path. Log in, and send an access token."


def key_scope(scope: Scope) -> Callable[[View], View]:
    """Let API keys with `scope` use a view; place it below `auth_required`."""

    def decorate(view: View) -> View:
        setattr(view, _ATTRIBUTE, scope)
        return view

    return decorate


def check_scope(scopes: frozenset[Scope]) -> None:
    """Raise Forbidden unless a key with `scopes` may use the current request's route."""
    view = current_app.view_functions[request.endpoint or ""]
    needed: Scope | None = getattr(view, _ATTRIBUTE, None)
    if needed is None:
        raise Forbidden(_LOG_IN)
    if needed not in scopes:
        raise Forbidden(
            f"This path needs an API key with the scope {needed}; this one has "
            f"{', '.join(sorted(scopes))}. Create one with POST /api/v1/auth/keys."
        )


def require_scope(scope: Scope) -> None:
    """Raise Forbidden if the request has a key without `scope`, which a view needs in some cases."""
    grant = current_context().key_grant
    if grant is not None and scope not in grant.scopes:
        raise Forbidden(f"This query needs an API key with the scope {scope}, too.")


def describe_scopes(spec: dict[str, Any], app: Flask) -> None:
    """Document API keys for the operations that accept them alone, each with the scope that it needs."""
    for view, operation in documented_operations(spec, app):
        if "security" in operation:
            scope = getattr(view, _ATTRIBUTE, None)
            operation["security"] = _schemes(operation["security"], scope)


def _schemes(choices: list[dict[str, Any]], scope: Scope | None) -> list[dict[str, Any]]:
    named = [name for choice in choices for name in choice]
    tokens: list[dict[str, Any]] = [{name: []} for name in named if name not in _KEY_SCHEMES]
    keys = [{name: [str(scope)]} for name in named if name in _KEY_SCHEMES and scope is not None]
    return tokens + keys
