"""Errors as pages, for browsers: the text of the problem document, the navigation and a way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import Response, render_template

from service.api.http.accept import is_page_path, prefers_page
from service.api.http.problem_document import MEDIA_TYPE
from service.errors import RiskscanError
from service.web.visitor import Visitor, current_visitor

_WITH_NAVIGATION = {"forbidden", "not_found", "method_not_allowed"}
"""Others may have come before the checks of address and quota, or from a database that fails."""


def show(response: Response, menus: Callable[[], Mapping[str, object]]) -> bool:
    """Replace the problem document in `response` by a page if the caller prefers that; return whether.

    `menus` gives the variables of the templates' navigation.
    """
    if response.mimetype != MEDIA_TYPE or not is_page_path():
        return False
    response.vary.update(("Accept", "Cookie"))
    if not prefers_page():
        return False
    problem = response.get_json()
    visitor = _visitor() if problem["code"] in _WITH_NAVIGATION else None
    response.set_data(render_template("error.html", problem=problem, visitor=visitor, **menus()))
    response.content_type = "text/html; charset=utf-8"
    return True


def _visitor() -> Visitor | None:
    try:
        return current_visitor()
    except RiskscanError:
        return None  # the database failed meanwhile: the page does without the navigation
