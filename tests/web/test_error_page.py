"""Errors of pages: HTML for browsers, problem+json for all others and for the API."""

import pytest

from service.api.http.problem_document import MEDIA_TYPE
from tests.web.actions import assert_accessible_in_every_view, sign_up
from tests.web.test_login import HTML

PATHS = [("/users", 403), ("/nope", 404)]


@pytest.mark.parametrize(("path", "status"), PATHS)
def test_browser_gets_a_page_with_the_text_the_navigation_and_a_way_back(visitor, path, status):
    answer = visitor.http.get(path, headers=HTML)
    assert (answer.status_code, answer.headers["Content-Type"]) == (
        status,
        "text/html; charset=utf-8",
    )
    problem = visitor.http.get(path).json()
    assert problem["detail"] in answer.text
    assert 'aria-label="Main"' in answer.text
    assert 'href="/"' in answer.text
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Request-ID"] in answer.text
    assert {"Accept", "Cookie"} <= set(answer.headers["Vary"].replace(" ", "").split(","))


@pytest.mark.parametrize(("path", "status"), PATHS)
@pytest.mark.parametrize("accept", ["*/*", "application/json", MEDIA_TYPE, ""])
def test_other_clients_get_problem_json(visitor, path, status, accept):
    answer = visitor.http.get(path, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, MEDIA_TYPE)
    assert "Accept" in answer.headers["Vary"]


@pytest.mark.parametrize("path", ["/api/nope", "/api/v1/nope", "/api", "/scan", "/health/nope"])
def test_errors_of_the_api_never_become_a_page(visitor, path):
    answer = visitor.http.get(path, headers=HTML)
    assert answer.status_code >= 400
    assert answer.headers["Content-Type"] == MEDIA_TYPE


def test_stranger_who_accepts_nothing_but_html_gets_a_page_without_navigation(client):
    answer = client.get("/<b>nope", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "This path does not exist." in answer.text
    assert "csrf-token" not in answer.text
    assert "<b>" not in answer.text


def test_page_of_other_roles_names_them(visitor):
    assert "These roles do: admin. Ask an administrator." in visitor.http.get("/users").text


def test_page_is_accessible_and_leads_back(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    page.goto(f"{live.url}/nope")
    assert_accessible_in_every_view(page, "error")
    page.get_by_role("link", name="Back to your documents").click()
    page.get_by_role("heading", name="Scan a document").wait_for()
