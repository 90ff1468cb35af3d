"""The search page, in Chromium."""

import pytest

from tests.web.actions import RISKS, assert_accessible_in_every_view, sign_up, upload


@pytest.fixture
def page(live, new_page):
    """A page of a user whose findings search knows."""
    page = new_page()
    sign_up(page, live.url)
    upload(page, "notes.txt", "\n\n".join(RISKS).encode())
    page.locator("#findings button").first.wait_for()
    live.services.search_indexer.join()
    return page


def test_user_finds_a_sentence_by_keyboard_opens_it_and_finds_the_like(live, page):
    page.goto(live.url)
    page.get_by_role("navigation").get_by_role("link", name="Search").click()
    page.locator("#search[data-ready=true]").wait_for()
    page.keyboard.type("insolvent vendor")
    page.keyboard.press("Enter")
    result = page.locator("#results a.result").first
    result.get_by_text(RISKS[0]).wait_for()
    assert "q=insolvent+vendor" in page.url
    page.get_by_role("status").get_by_text("best first").wait_for()
    assert_accessible_in_every_view(page, "search")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_role("searchbox").focus()
    page.keyboard.press("ArrowDown")
    assert result.evaluate("link => link === document.activeElement")
    page.keyboard.press("Enter")
    page.locator("#review[data-ready=true]").wait_for()
    page.locator("#detail").get_by_role("link", name="More like this").click()
    page.locator("#results a.result").first.wait_for()
    shown = page.locator("#results a.result").all_inner_texts()
    assert RISKS[0] not in shown
    assert RISKS[2] in shown


def test_question_without_a_word_says_what_to_send(live, page):
    page.goto(f"{live.url}/search?q=the")
    page.get_by_role("status").get_by_text("Send a word to search for").wait_for()
    page.get_by_role("searchbox").fill("budget")
    page.get_by_label("Kind").select_option("document")
    page.get_by_role("link", name="notes.txt").wait_for()
