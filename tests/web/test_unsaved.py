"""What people typed and have not saved stays, in Chromium."""

import pytest

from tests.web.actions import log_in, sign_up


@pytest.fixture
def page(new_page):
    return new_page(viewport={"width": 1280, "height": 800})


def new_risk(page, url, title):
    """Type the title of a new risk."""
    page.goto(f"{url}/risks")
    page.locator("#register[data-ready=true]").wait_for()
    page.get_by_role("button", name="New risk").click()
    page.get_by_label("Title", exact=True).fill(title)


def save(page):
    page.get_by_role("button", name="Save", exact=True).click()


def test_log_in_that_ended_leaves_the_text_which_is_saved_after_another_one(live, page):
    email = sign_up(page, live.url)
    new_risk(page, live.url, "Typed before")
    other = page.context.new_page()
    other.goto(live.url)
    other.locator("form[action='/logout'] button").evaluate("button => button.click()")
    other.get_by_role("heading", name="Log in").wait_for()
    save(page)
    page.locator("#fault", has_text="You are logged out. Log in in another tab").wait_for()
    log_in(other, live.url, email)
    save(page)
    page.get_by_role("heading", name="Typed before").wait_for()


def test_page_of_one_account_changes_nothing_in_the_name_of_another(live, page):
    sign_up(page, live.url)
    new_risk(page, live.url, "Of the first account")
    page.context.clear_cookies()
    sign_up(page.context.new_page(), live.url)
    save(page)
    page.locator("#fault", has_text="Reload the page").wait_for()
