"""What happens to files and texts on the first page while they wait, and when a scan fails, in Chromium."""

import time

import pytest

from tests.support.waiting import PATIENCE_S
from tests.web.actions import RISKS, sign_up

SCANS = "**/api/v1/scan"


@pytest.fixture
def page(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    return page


def hold_after_the_first(page, pattern):
    """Let the first request through; return the list of the later ones, which wait."""
    held, passed = [], []

    def pass_or_hold(route):
        (held if passed else passed).append(route)
        if not held:
            route.continue_()

    page.route(pattern, pass_or_hold)
    return held


def test_page_with_waiting_files_asks_before_it_is_left(page):
    held, asked = hold_after_the_first(page, SCANS), []
    files = [{"name": f"{n}.txt", "mimeType": "", "buffer": RISKS[n].encode()} for n in range(2)]
    page.locator("#file").set_input_files(files * 2)
    review = page.locator("#uploads").get_by_role("link", name="Review")
    review.wait_for()
    assert page.locator("#uploads").get_by_text("Waits").count() == 2
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    review.click()
    assert asked == ["beforeunload"]
    for n in (1, 2, 3):
        review.nth(n - 1).wait_for()
        deadline_s = time.monotonic() + PATIENCE_S
        while len(held) < n:  # the next request comes after the answer, not with it
            assert time.monotonic() < deadline_s
            page.wait_for_timeout(10)
        held[n - 1].continue_()
    review.nth(3).wait_for()
    review.first.click()
    page.locator("#review[data-ready=true]").wait_for()


def test_pasted_text_stays_until_it_is_scanned(page):
    text, answers = page.get_by_label("Text to scan"), [503]
    page.route(SCANS, lambda r: r.fulfill(status=answers.pop()) if answers else r.continue_())
    page.get_by_role("button", name="paste text").click()
    text.fill(RISKS[0])
    page.get_by_role("button", name="Scan text").click()
    page.locator("#uploads").get_by_role("alert").wait_for()
    assert text.input_value() == RISKS[0]
    page.get_by_role("button", name="Scan text").click()
    page.locator("#uploads").get_by_role("link", name="Review").wait_for()
    text.wait_for(state="hidden")
    assert text.input_value() == ""


def test_files_wait_while_the_visitor_is_logged_out(page):
    answers = [401]
    page.route(SCANS, lambda r: r.fulfill(status=answers.pop()) if answers else r.continue_())
    files = [{"name": f"{n}.txt", "mimeType": "", "buffer": RISKS[n].encode()} for n in range(3)]
    uploads = page.locator("#uploads")
    page.locator("#file").set_input_files(files)
    refused = uploads.get_by_role("alert")
    refused.get_by_text("Log in in another tab, then do this again.").wait_for()
    page.wait_for_load_state("networkidle")
    assert uploads.get_by_text("Waits").count() == 2
    page.locator("#file").set_input_files(files[:1])
    uploads.get_by_role("link", name="Review").nth(2).wait_for()
    assert refused.count() == 1
