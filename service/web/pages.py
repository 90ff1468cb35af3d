"""The pages: each is a shell that its script fills from /api/v1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response, make_response, redirect, render_template, request

from db.tables import Permission, roles_with
from service.errors import Forbidden
from service.web.visitor import Visitor, for_visitors

_LINKS = '</docs>; rel="service-doc", </openapi.json>; rel="service-desc"'


@dataclass(frozen=True, slots=True)
class Shell:
    """A page: its address, its template's name, and the permission that it needs, if any."""

    path: str
    name: str
    permission: Permission | None = None

    def view(self) -> Callable[..., Any]:
        """Return the view, which passes the address's parameters to the template."""

        @for_visitors
        def show(visitor: Visitor, **places: object) -> str:
            if self.permission is not None and self.permission not in visitor.permissions:
                allowed = roles_with(self.permission)
                raise Forbidden.for_role(visitor.role, "this page", allowed=allowed)
            return render_template(f"{self.name}.html", visitor=visitor, **places)

        return show


SHELLS = (
    Shell("/scans/<uuid:scan_id>", "review"),
    Shell("/search", "search"),
    Shell("/queue", "queue"),
    Shell("/dashboard", "dashboard"),
    Shell("/courses", "courses"),
    Shell("/courses/<uuid:course_id>", "course"),
    Shell("/courses/<uuid:course_id>/lessons/<uuid:lesson_id>", "lesson"),
    Shell("/courses/<uuid:course_id>/edit", "course_editor", Permission.COURSES),
    Shell("/courses/<uuid:course_id>/cohort", "cohort", Permission.COURSES),
    Shell("/sessions", "sessions"),
    Shell("/batches", "batches"),
    Shell("/risks", "risks"),
    Shell("/models", "models", Permission.MODELS),
    Shell("/users", "users", Permission.PEOPLE),
    Shell("/teams", "teams", Permission.PEOPLE),
    Shell("/blocks", "blocks", Permission.PEOPLE),
    Shell("/audit", "audit", Permission.AUDIT),
    Shell("/keys", "keys"),
    Shell("/webhooks", "webhooks"),
    Shell("/settings", "settings"),
)
Tab = tuple[str, str]
"""Address and title of a page in a menu."""
TABS: tuple[tuple[Tab, Permission | None], ...] = (
    (("/search", "Search"), None),
    (("/queue", "Review queue"), Permission.REVIEW),
    (("/sessions", "Sessions"), None),
    (("/batches", "Batches"), None),
    (("/risks", "Risks"), None),
    (("/dashboard", "Dashboard"), None),
    (("/courses", "Courses"), None),
    (("/models", "Models"), Permission.MODELS),
    (("/users", "Users"), Permission.PEOPLE),
    (("/teams", "Teams"), Permission.PEOPLE),
    (("/blocks", "Blocks"), Permission.PEOPLE),
    (("/audit", "Audit"), Permission.AUDIT),
)
"""The top bar: each page, and the permission that it needs."""


def tabs(visitor: Visitor) -> list[Tab]:
    """Return the pages of the top bar that this visitor may use."""
    return [
        tab for tab, permission in TABS if permission is None or permission in visitor.permissions
    ]


def account_tabs() -> list[Tab]:
    """Return the pages of the account's menu."""
    return [("/settings", "Settings"), ("/keys", "API keys"), ("/webhooks", "Webhooks")]


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
