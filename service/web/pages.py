"""The pages: each is a shell that its script fills from /api/v1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response, make_response, redirect, render_template, request

from service.web.visitor import Visitor, for_visitors

_LINKS = '</docs>; rel="service-doc", </openapi.json>; rel="service-desc"'


@dataclass(frozen=True, slots=True)
class Shell:
    """A page: its address, its template's name, and whom it is for."""

    path: str
    name: str

    def view(self) -> Callable[..., Any]:
        """Return the view, which passes the address's parameters to the template."""

        @for_visitors
        def show(visitor: Visitor, **places: object) -> str:
            return render_template(f"{self.name}.html", visitor=visitor, **places)

        return show


SHELLS = (
    Shell("/scans/<uuid:scan_id>", "review"),
    Shell("/queue", "queue"),
    Shell("/dashboard", "dashboard"),
    Shell("/sessions", "sessions"),
    Shell("/keys", "keys"),
    Shell("/settings", "settings"),
)
Tab = tuple[str, str]
"""Address and title of a page in a menu."""


def tabs(visitor: Visitor) -> list[Tab]:
    """Return the pages of the top bar that this visitor may use."""
    queue = [("/queue", "Review queue")] if visitor.is_reviewer else []
    return [*queue, ("/sessions", "Sessions"), ("/dashboard", "Dashboard")]


def account_tabs() -> list[Tab]:
    """Return the pages of the account's menu."""
    return [("/settings", "Settings"), ("/keys", "API keys")]


def home() -> Response:
    """Show the visitor's documents; a client that does not ask for HTML goes to the API's documentation."""
    if "text/html" in request.headers.get("Accept", ""):
        response: Response = _home()
    else:
        response = make_response(redirect("/docs"))
        response.headers["Link"] = _LINKS
    response.headers["Vary"] = "Accept, Cookie"
    return response


@for_visitors
def _home(visitor: Visitor) -> str:
    return render_template("home.html", visitor=visitor)
