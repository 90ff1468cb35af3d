"""The search page, in Chromium."""

import secrets

import pytest

from db.tables import Role
from service.domain.audit import Actor
from service.domain.courses import lessons
from tests.web.actions import RISKS, assert_accessible_in_every_view, log_in, sign_up, upload
from tests.web.conftest import PASSWORD


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
    page.locator("#search[data-ready=true] #q:focus").wait_for()
    page.keyboard.type("insolvent vendor")
    page.keyboard.press("Enter")
    result = page.locator("#results a.result").first
    result.get_by_text(RISKS[0]).wait_for()
    assert "q=insolvent+vendor" in page.url
    page.get_by_role("status").get_by_text("the nearest in meaning").wait_for()
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


def test_user_finds_a_lesson_opens_it_and_its_course(live, page):
    services, title = live.services, f"Insolvency {secrets.token_hex(4)}"
    author = services.accounts.register(
        f"{secrets.token_hex(8)}@corp.local", PASSWORD, role=Role.INSTRUCTOR
    )
    fields = {"code": secrets.token_hex(6), "title": "Suppliers", "description": ""}
    fields |= {"status": "active", "categories": [], "risk_types": []}
    course = services.courses.create(fields, actor=Actor(author.id)).id
    lesson = {"title": title, "source": "Ask for **accounts**.", "minutes": 5, "quiz": None}
    services.transactions.run(lessons.create_lesson, author, course, lesson)
    services.search_indexer.catch_up()
    page.goto(f"{live.url}/search?q=insolvency")
    page.get_by_text("Ask for accounts.").wait_for()
    assert_accessible_in_every_view(page, "search-lesson")
    page.get_by_label("Kind").select_option("lesson")
    page.locator("#results").get_by_text(RISKS[0]).wait_for(state="detached")
    page.get_by_role("link", name=title).click()
    page.get_by_role("heading", name=title).wait_for()
    page.get_by_role("link", name="Suppliers").wait_for()


def test_page_says_if_nothing_has_the_words_and_marks_results_without_them(live, page):
    page.goto(f"{live.url}/search?q=qwertyzxcv")
    page.get_by_role("status").get_by_text("Nothing contains these words").wait_for()
    page.locator("#results").get_by_text("among the nearest in meaning").first.wait_for()
    page.goto(f"{live.url}/search?q=supplier&kind=finding")
    page.get_by_role("status").get_by_text("best first").wait_for()
    reasons = page.locator("#results li").filter(has_text=RISKS[2]).inner_text()
    assert "without these words, among the nearest in meaning" in reasons


def test_question_without_a_word_says_what_to_send(live, page):
    page.goto(f"{live.url}/search?q=the")
    page.get_by_role("status").get_by_text("Send a word to search for").wait_for()
    page.get_by_role("searchbox").fill("budget")
    page.get_by_label("Kind").select_option("document")
    page.get_by_role("link", name="notes.txt").wait_for()


def test_reviewer_finds_the_like_among_all_findings_and_filters_them(
    live, page, new_page, reviewer
):
    address = page.url
    other = new_page()
    log_in(other, live.url, reviewer)
    other.goto(address)
    other.get_by_role("link", name="More like this").click()
    results = other.locator("#results a.result")
    results.get_by_text(RISKS[2]).first.wait_for()
    other.get_by_label("Whose findings").select_option("own")
    other.get_by_role("status").get_by_text("No other finding.").wait_for()
    other.get_by_label("Whose findings").select_option("reviewable")
    results.get_by_text(RISKS[2]).first.wait_for()
    other.reload()
    results.get_by_text(RISKS[2]).first.wait_for()
    other.get_by_role("searchbox").fill("budget")
    other.keyboard.press("Enter")
    other.wait_for_url("**/search?q=budget*")
    assert other.get_by_label("Category").is_enabled()
