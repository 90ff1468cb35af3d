"""The reviewers' queue by keyboard, in Chromium."""

import pytest

from tests.web.actions import HARMLESS, RISKS, hold, log_in, upload
from tests.web.conftest import PASSWORD

REVIEWER = "reviewer@corp.local"
FEEDBACK = "**/feedback"


@pytest.fixture
def page(start_service, new_page):
    """The queue of a reviewer with three findings, on the first of which is the focus."""
    live = start_service(REVIEW_SAMPLE_SHARE="1")
    live.services.accounts.register(REVIEWER, PASSWORD, role="admin")
    page = new_page()
    log_in(page, live.url, REVIEWER)
    upload(page, "notes.txt", "\n\n".join([*RISKS, HARMLESS, "The room is blue."]).encode())
    page.goto(f"{live.url}/queue")
    page.locator(".queue-item:focus").wait_for()
    return page


def has_focus(locator):
    return locator.evaluate("element => element === document.activeElement")


def test_typing_in_a_filter_keeps_the_focus_and_judges_nothing(page):
    sent = []
    page.on("request", lambda request: request.method == "PUT" and sent.append(request.url))
    category = page.locator("#category")
    category.focus()
    page.keyboard.press("v")
    page.locator(".queue-item").nth(1).wait_for(state="detached")
    page.keyboard.type("ny")  # no category begins so, neither alone nor after "v"
    assert has_focus(category)
    assert category.locator("option:checked").text_content().startswith("Ven")
    assert not sent


def test_late_answer_leaves_the_reviewer_on_the_card_that_they_went_to(page):
    held = hold(page, FEEDBACK)
    cards = page.locator(".queue-item")
    with page.expect_request(FEEDBACK):
        page.keyboard.press("y")
    page.keyboard.press("j")
    page.keyboard.press("j")
    last = cards.nth(2).element_handle()
    held.pop().continue_()
    cards.nth(2).wait_for(state="detached")
    assert last.evaluate("card => card === document.activeElement")


def test_late_answer_leaves_the_reviewer_on_the_sentence_that_they_went_to(page):
    held = hold(page, FEEDBACK)
    page.locator("#kind").select_option("sample")
    cards = page.locator(".queue-item")
    page.get_by_text("2 wait").wait_for()
    cards.first.focus()
    with page.expect_request(FEEDBACK):
        page.keyboard.press("n")
    kind = page.locator("#kind")
    kind.focus()
    held.pop().continue_()
    cards.nth(1).wait_for(state="detached")
    assert has_focus(kind)


def test_wrong_verdict_is_undone_and_its_card_has_the_focus_again(page):
    page.keyboard.press("j")
    sentence = page.locator(".queue-item:focus .queue-text").text_content()
    page.keyboard.press("n")
    page.get_by_text("Rejected. u undoes it.").wait_for()
    assert page.locator(".queue-item").count() == 2
    page.keyboard.press("u")
    page.locator(".queue-item:focus", has_text=sentence).wait_for()
    assert page.locator(".queue-item").count() == 3


def test_verdict_on_the_last_card_is_undone(page):
    for n in (2, 1, 0):
        page.keyboard.press("y")
        page.locator(".queue-item").nth(n).wait_for(state="detached")
    page.get_by_text("Nothing waits").wait_for()
    page.keyboard.press("u")
    page.locator(".queue-item:focus").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.locator(".queue-item").nth(1).wait_for()


@pytest.mark.parametrize("kind", ["unsure", "sample"])
def test_letters_judge_nothing_while_shortcuts_are_off(page, kind):
    page.evaluate("localStorage.setItem('keys', 'off')")
    page.goto(f"{page.url}?kind={kind}")
    page.locator(".queue-item:focus").wait_for()
    n_cards = page.locator(".queue-item").count()
    page.keyboard.type("njuk")
    page.get_by_role("button", name="Confirm").or_(
        page.get_by_role("button", name="No risk")
    ).first.click()
    page.locator(".queue-item").nth(n_cards - 1).wait_for(state="detached")
    assert page.locator(".queue-item").count() == n_cards - 1


def test_undo_button_goes_to_the_card_that_it_brings_back(page):
    sentence = page.locator(".queue-item:focus .queue-text").text_content()
    page.keyboard.press("n")
    page.locator(".queue-item").nth(2).wait_for(state="detached")
    page.get_by_role("button", name="Undo").click()
    page.locator(".queue-item:focus", has_text=sentence).wait_for()
