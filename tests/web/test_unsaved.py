"""What people typed and have not saved stays, in Chromium."""

import re

import pytest

from tests.api.conftest import new_account  # noqa: F401 - fixture
from tests.api.reviewing import judge
from tests.api.risk_register import change, confirmed, created, get, id_of, scanned
from tests.api.teaching import QUESTION, course_id, new_course, new_lesson
from tests.api.teaching import change as change_part
from tests.web.actions import hold, log_in, sign_up

MEANWHILE = "Somebody changed this meanwhile. Check the fields and save again."


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


def answer_next(page, accepts):
    """Answer the next question of the browser; return the list that gets its words."""
    asked = []

    def answer(dialog):
        asked.append(dialog.message or dialog.type)
        if accepts:
            dialog.accept()
        else:
            dialog.dismiss()

    page.once("dialog", answer)
    return asked


def abort_reads(route):
    if route.request.method == "GET":
        route.abort()
    else:
        route.continue_()


@pytest.fixture
def author(new_account):  # noqa: F811
    return new_account("instructor")


@pytest.fixture
def course(author):
    """An active course of the author with three lessons."""
    course = new_course(author, title="Secrets in code", description="")
    for title in ("First", "Second", "Third"):
        new_lesson(author, course, title=title, quiz=[QUESTION])
    return course


@pytest.fixture
def editor(live, page, author, course):
    """The editor of the course."""
    log_in(page, live.url, author.email)
    page.goto(f"{live.url}/courses/{course_id(course)}/edit")
    page.get_by_role("button", name="Edit: Third").wait_for()
    return page


@pytest.fixture
def risk(live, page, user):
    """A risk with a rejected finding, open on the page of its owner."""
    scan = scanned(user)
    chosen = confirmed(user, scan)
    risk = created(user, finding=chosen)
    judge(user, scan, chosen["n"], "rejected").raise_for_status()
    log_in(page, live.url, user.email)
    page.goto(f"{live.url}/risks?risk={id_of(risk)}")
    page.get_by_text("Rejected since:").wait_for()
    page.locator("#detail-title:focus").wait_for()
    return risk


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


def test_text_of_a_lesson_stays_when_another_is_deleted_or_edited(editor):
    title = editor.get_by_label("Title of the lesson")
    editor.get_by_role("button", name="Edit: First").click()
    title.fill("Rewritten")
    answer_next(editor, accepts=True)
    editor.get_by_role("button", name="Delete: Second").click()
    editor.get_by_role("button", name="Delete: Second").wait_for(state="detached")
    assert title.input_value() == "Rewritten"
    asked = answer_next(editor, accepts=False)
    editor.get_by_role("button", name="Edit: Third").click()
    assert asked == ["Discard your changes?"]
    assert title.input_value() == "Rewritten"
    answer_next(editor, accepts=True)
    editor.get_by_role("button", name="Edit: Third").click()
    editor.locator("#lesson-heading:focus").wait_for()
    assert title.input_value() == "Third"


def test_saved_or_deleted_lesson_closes_without_a_question(editor):
    editor.get_by_role("button", name="Edit: First").click()
    editor.get_by_label("Title of the lesson").fill("Rewritten")
    editor.get_by_role("button", name="Save lesson").click()
    editor.get_by_role("button", name="Edit: Rewritten").click()
    editor.get_by_label("Text in Markdown").fill("Lost with its lesson.")
    asked = answer_next(editor, accepts=True)
    editor.get_by_role("button", name="Delete: Rewritten").click()
    editor.locator("#lesson-form").wait_for(state="hidden")
    editor.reload()
    assert len(asked) == 1


def test_late_answer_about_a_lesson_does_not_replace_the_one_that_was_wanted_since(editor):
    title, one = editor.get_by_label("Title of the lesson"), re.compile("/lessons/[0-9a-f-]{36}$")
    editor.get_by_role("button", name="Edit: First").click()
    title.wait_for()
    held = hold(editor, one)
    for name in ("Second", "Third"):
        with editor.expect_request(one):
            editor.get_by_role("button", name=f"Edit: {name}").click()
        assert title.is_hidden()  # so that nothing is typed which the answer replaces
    second, third = held
    third.continue_()
    title.wait_for()
    with editor.expect_response(one):
        second.continue_()
    editor.wait_for_load_state("networkidle")
    assert title.input_value() == "Third"


@pytest.mark.usefixtures("risk")
def test_text_of_a_risk_stays_when_a_finding_is_removed_or_another_risk_wanted(page):
    page.get_by_label("Mitigation").fill("Ask for a reserve.")
    page.get_by_role("button", name="Remove it from the risk").click()
    page.get_by_text("No finding supports it.").wait_for()
    page.locator("#history").get_by_text("finding removed").wait_for()
    for button in ("New risk", "Close"):
        asked = answer_next(page, accepts=False)
        page.get_by_role("button", name=button).click()
        assert asked == ["Discard your changes?"]
    asked = answer_next(page, accepts=False)
    page.get_by_role("link", name="Dashboard").click()
    assert asked == ["beforeunload"]
    save(page)
    page.locator("#history").get_by_text("Ask for a reserve.").wait_for()
    page.get_by_role("button", name="Close").click()
    page.locator("#detail").wait_for(state="hidden")


def test_change_of_a_risk_by_somebody_else_keeps_both(page, user, risk):
    page.get_by_label("Mitigation").fill("Ask for a reserve.")
    change(user, risk, title="Renamed meanwhile", mitigation="None.", due_on="2030-01-31")
    save(page)
    page.locator("#fault", has_text=MEANWHILE).wait_for()
    assert page.get_by_label("Mitigation").input_value() == "Ask for a reserve."
    assert page.get_by_label("Title", exact=True).input_value() == "Renamed meanwhile"
    assert page.locator("#due_on").input_value() == "2030-01-31"
    save(page)
    page.locator("#history").get_by_text("mitigation: None. → Ask for a reserve.").wait_for()
    assert get(user, risk)["title"] == "Renamed meanwhile"


def test_change_of_a_lesson_by_somebody_else_keeps_both(editor, author, course):
    editor.get_by_role("button", name="Edit: First").click()
    editor.get_by_label("Text in Markdown").fill("My text.")
    [lesson, *_] = author.http.get(f"{course}/lessons").json()["items"]
    quiz = [QUESTION, {**QUESTION, "text": "And who reads them?"}]
    change_part(author, f"{course}/lessons/{lesson['id']}", minutes=9, source="Theirs.", quiz=quiz)
    editor.get_by_role("button", name="Save lesson").click()
    editor.locator("#lesson-fault", has_text=MEANWHILE).wait_for()
    assert editor.get_by_label("Minutes").input_value() == "9"
    editor.get_by_role("button", name="Save lesson").click()
    editor.get_by_text("The lesson is saved.").wait_for()
    stored = author.http.get(f"{course}/lessons/{lesson['id']}").json()
    assert (stored["source"], stored["minutes"], len(stored["quiz"])) == ("My text.", 9, 2)


def test_change_of_a_course_by_somebody_else_is_shown_when_a_lesson_moves(editor, author, course):
    editor.get_by_label("Title", exact=True).fill("My title")
    change_part(author, course, description="Theirs.", categories=["budget"])
    editor.get_by_role("button", name="Down: First").click()
    editor.locator("#lessons li", has_text="2. First").wait_for()
    assert editor.get_by_label("Description").input_value() == "Theirs."
    assert editor.get_by_label("Budget", exact=True).is_checked()
    editor.get_by_role("button", name="Save course").click()
    editor.get_by_text("The course is saved.").wait_for()
    stored = author.http.get(course).json()
    assert (stored["title"], stored["description"]) == ("My title", "Theirs.")
    assert stored["categories"] == ["budget"]


def test_same_field_of_a_course_is_not_overwritten_unseen(editor, author, course):
    title = editor.get_by_label("Title", exact=True)
    title.fill("My title")
    change_part(author, course, title="Their title")
    for n in (2, 3):
        editor.get_by_role("button", name="Down: First").click()
        editor.locator("#lessons li", has_text=f"{n}. First").wait_for()
    editor.get_by_role("button", name="Save course").click()
    editor.locator("#fault", has_text=MEANWHILE).wait_for()
    assert author.http.get(course).json()["title"] == "Their title"
    assert title.input_value() == "My title"
    editor.get_by_role("button", name="Save course").click()
    editor.get_by_text("The course is saved.").wait_for()


def test_page_that_did_not_load_is_left_without_a_question(live, page, author, course):
    log_in(page, live.url, author.email)
    page.route("**/api/v1/taxonomy", lambda route: route.abort())
    page.goto(f"{live.url}/courses/{course_id(course)}/edit")
    page.get_by_text("The service cannot be reached.").wait_for()
    asked = answer_next(page, accepts=True)
    page.get_by_role("link", name="Dashboard").click()
    page.wait_for_url("**/dashboard")
    assert not asked


def test_text_typed_while_a_risk_is_saved_stays(page, user, risk):
    title, mitigation = page.get_by_label("Title", exact=True), page.get_by_label("Mitigation")
    held = hold(page, f"**{risk}")
    title.fill("Renamed")
    with page.expect_request(f"**{risk}"):
        save(page)
    mitigation.fill("Ask for a reserve.")
    held.pop().continue_()
    page.get_by_role("heading", name="Renamed").wait_for()
    page.locator("#history").get_by_text("title:").wait_for()
    assert mitigation.input_value() == "Ask for a reserve."
    assert mitigation.evaluate("field => field === document.activeElement")
    page.unroute(f"**{risk}")
    save(page)
    page.locator("#history").get_by_text("Ask for a reserve.").wait_for()
    assert get(user, risk)["mitigation"] == "Ask for a reserve."


def test_second_save_of_a_new_risk_creates_no_other_one(live, page):
    sign_up(page, live.url)
    new_risk(page, live.url, "Fire")
    page.route(re.compile("/api/v1/risks/[0-9a-f-]{36}"), abort_reads)
    save(page)
    page.locator("#fault", has_text="The service cannot be reached.").wait_for()
    page.unroute_all()
    page.get_by_label("Mitigation").fill("Buy extinguishers.")
    save(page)
    page.locator("#history").get_by_text("Buy extinguishers.").wait_for()
    page.reload()
    page.locator("#register[data-ready=true]").wait_for()
    assert page.locator("#risks tbody tr").count() == 1


def test_late_answer_of_a_save_leaves_the_risk_that_was_opened_since(live, page):
    sign_up(page, live.url)
    new_risk(page, live.url, "Fire")
    held = hold(page, "**/api/v1/risks")
    with page.expect_request("**/api/v1/risks"):
        save(page)
    answer_next(page, accepts=True)
    page.get_by_role("button", name="New risk").click()
    page.get_by_label("Title", exact=True).fill("Flood")
    page.route("**/api/v1/risks", lambda route: route.continue_())
    held.pop().continue_()
    page.locator("#risks").get_by_role("button", name="Fire").wait_for()
    save(page)
    page.locator("#risks").get_by_role("button", name="Flood").wait_for()
    assert page.locator("#risks tbody tr").count() == 2
