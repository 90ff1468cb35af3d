"""Courses in Chromium: an instructor writes one, a learner is sent to it by a finding and completes it."""

import pytest

from tests.web.actions import RISKS, assert_accessible_in_every_view, log_in, sign_up, upload
from tests.web.conftest import PASSWORD

BUDGET = RISKS[2]


@pytest.fixture
def instructor(live):
    email = "teacher@corp.local"
    live.services.accounts.register(email, PASSWORD, role="instructor")
    return email


def write_course(page, url):
    """Create an active course about budgets with a lesson and a quiz; return its title."""
    page.goto(f"{url}/courses")
    page.get_by_label("Code").fill("BUD-101")
    page.get_by_label("Title").fill("Budgets that hold")
    page.get_by_role("button", name="Create draft").click()
    page.get_by_label("Budget", exact=True).check()
    page.get_by_label("Status").select_option("active")
    page.get_by_role("button", name="Save course").click()
    page.get_by_text("The course is saved.").wait_for()
    page.get_by_role("button", name="Add a lesson").click()
    page.get_by_label("Title of the lesson").fill("Reserves")
    page.get_by_label("Text in Markdown").fill(
        "# Why\n\nPlan *ten* percent. <script>alert(1)</script>"
    )
    page.get_by_role("button", name="Preview").click()
    page.locator("#preview").get_by_role("heading", name="Why").wait_for()
    assert page.locator("#preview script").count() == 0
    page.get_by_role("button", name="Add a question").click()
    page.get_by_role("textbox", name="Question").fill("How much?")
    for n, choice in enumerate(("None", "Ten percent")):
        page.get_by_role("textbox", name="Choice").nth(n).fill(choice)
    page.get_by_label("This choice is right").nth(1).check()
    page.get_by_role("button", name="Save lesson").click()
    page.get_by_text("The lesson is saved.").wait_for()
    assert_accessible_in_every_view(page, "course-editor")


def confirm_finding(page):
    """Scan a document, and confirm its finding."""
    upload(page, "plan.txt", BUDGET.encode())
    page.locator("#findings").get_by_text(BUDGET).first.wait_for()
    with page.expect_response(lambda answer: answer.url.endswith("/feedback") and answer.ok):
        page.keyboard.press("y")


def test_finding_leads_to_a_course_whose_quiz_completes_it(live, new_page, instructor):
    page = new_page()
    log_in(page, live.url, instructor)
    write_course(page, live.url)

    learner = new_page()
    email = sign_up(learner, live.url)
    confirm_finding(learner)
    learner.goto(f"{live.url}/courses")
    card = learner.locator("#recommended article")
    card.get_by_text("1 confirmed finding of Budget").wait_for()
    assert "?finding=1" in card.locator(".reasons a").get_attribute("href")
    assert_accessible_in_every_view(learner, "courses")
    card.get_by_role("button", name="Start").click()
    learner.get_by_text("0 of 1 lesson").wait_for()
    learner.get_by_role("link", name="Start").click()
    learner.locator("#text").get_by_role("heading", name="Why").wait_for()
    learner.get_by_label("None").check()
    learner.get_by_role("button", name="Check and finish").click()
    learner.get_by_text("0 of 1 answer right.").wait_for()
    learner.get_by_label("None").uncheck()
    learner.get_by_label("Ten percent").check()
    learner.get_by_role("button", name="Check and finish").press("Enter")
    learner.get_by_text("The quiz is passed.").wait_for()
    assert_accessible_in_every_view(learner, "lesson")
    learner.get_by_role("link", name="Budgets that hold").click()
    learner.get_by_text("1 of 1 lesson").wait_for()
    learner.locator(".badge", has_text="completed").wait_for()
    learner.get_by_role("heading", name="Before and after").wait_for()
    assert_accessible_in_every_view(learner, "course")
    learner.goto(f"{live.url}/courses")
    learner.locator("#own .badge", has_text="completed").wait_for()
    assert learner.locator("#recommended article").count() == 0

    page.goto(f"{live.url}/courses")
    page.get_by_role("link", name="Cohort: Budgets that hold").click()
    page.get_by_text(email).wait_for()
    page.get_by_text("1 completed").wait_for()
    assert_accessible_in_every_view(page, "cohort")
