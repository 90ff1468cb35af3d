"""Request headers that views read: the decorator that reads one declares it for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask

from service.api.http.paths import documented_operations

View = TypeVar("View", bound=Callable[..., Any])

_ATTRIBUTE = "request_headers"  # the decorators above copy it to their wrappers


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """A header that views read; `answers` has the responses that it adds to an operation, by status."""

    name: str
    description: str
    answers: Mapping[str, dict[str, Any]]
    required: bool = False


def reads(*headers: RequestHeader) -> Callable[[View], View]:
    """Declare headers that a view reads."""

    def decorate(view: View) -> View:
        setattr(view, _ATTRIBUTE, (*getattr(view, _ATTRIBUTE, ()), *headers))
        return view

    return decorate


def describe_headers(spec: dict[str, Any], app: Flask) -> None:
    """Document the declared headers, each with its answers, as parameters of their operations."""
    for view, operation in documented_operations(spec, app):
        headers: tuple[RequestHeader, ...] = getattr(view, _ATTRIBUTE, ())
        for header in headers:
            operation.setdefault("parameters", []).append(
                {
                    "in": "header",
                    "name": header.name,
                    "required": header.required,
                    "schema": {"type": "string"},
                    "description": header.description,
                }
            )
            for status, answer in header.answers.items():
                operation["responses"].setdefault(status, {**answer})
