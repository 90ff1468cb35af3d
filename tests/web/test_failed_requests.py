"""A page whose first request fails says so, in Chromium."""

import pytest

from tests.web.actions import log_in


@pytest.mark.parametrize("path", ["queue", "risks", "search", "dashboard", "courses", "models"])
def test_page_says_that_its_first_request_failed(live, new_page, reviewer, path):
    page = new_page()
    log_in(page, live.url, reviewer)
    page.route("**/api/v1/taxonomy", lambda route: route.abort())
    page.goto(f"{live.url}/{path}")
    page.get_by_text("The service cannot be reached.").first.wait_for()
