"""The review page by keyboard, mouse and screen reader, in Chromium."""

import pytest

from tests.web.actions import RISKS, hold, sign_up, upload

FEEDBACK = "**/feedback"


@pytest.fixture
def page(live, new_page):
    """The review of three findings, of which the first is selected."""
    page = new_page(viewport={"width": 1280, "height": 800})
    sign_up(page, live.url)
    upload(page, "notes.txt", "\n\n".join(RISKS).encode())
    page.locator("mark.is-selected").wait_for()
    return page


def selected(page):
    return page.locator(".finding[aria-current=true] .finding-text").text_content()


def test_late_answer_leaves_the_selected_finding(page):
    held = hold(page, FEEDBACK)
    with page.expect_request(FEEDBACK):
        page.keyboard.press("y")
    page.keyboard.press("j")
    page.keyboard.press("j")
    held.pop().continue_()
    page.locator(".finding.is-confirmed").wait_for()
    assert selected(page) == RISKS[2]
