"""What learners and instructors meet on the pages of courses, in Chromium."""

import pytest

from tests.api.conftest import new_account  # noqa: F401 - fixture
from tests.api.teaching import QUESTION, course_id, enrol, new_course, new_lesson, own
from tests.web.actions import assert_accessible_in_every_view, log_in


@pytest.fixture
def author(new_account):  # noqa: F811
    return new_account("instructor")


@pytest.fixture
def course(author):
    return new_course(author)


@pytest.fixture
def page(live, new_page, user):
    """A page of a learner."""
    page = new_page(viewport={"width": 1280, "height": 800})
    log_in(page, live.url, user.email)
    return page


def place(live, course):
    return f"{live.url}/courses/{course_id(course)}"


def test_learner_takes_a_course_from_its_lesson(live, page, user, author, course):
    lesson = new_lesson(author, course, quiz=[QUESTION])
    page.goto(f"{place(live, course)}/lessons/{lesson['id']}")
    take = page.get_by_role("button", name="Take this course")
    done = page.get_by_role("button", name="Check and finish")
    take.wait_for()
    assert done.is_hidden()
    assert_accessible_in_every_view(page, "lesson-of-no-course")
    page.get_by_label("In a vault").check()
    take.press("Enter")
    page.locator("#done:focus").press("Enter")
    page.get_by_text("The quiz is passed.").wait_for()
    assert take.is_hidden()
    assert own(user, course)["n_done"] == 1


def test_lesson_of_a_course_that_cannot_be_taken_offers_no_button(live, page, author):
    course = new_course(author, status="draft")
    lesson = new_lesson(author, course)
    page.context.clear_cookies()
    log_in(page, live.url, author.email)
    page.goto(f"{place(live, course)}/lessons/{lesson['id']}")
    page.get_by_role("heading", name="Keys").wait_for()
    page.locator("#neighbours a").wait_for()
    assert page.locator("#ending button:visible").count() == 0


def test_only_those_leave_a_course_who_enrolled_themselves(live, page, user, author, course):
    enrol(author, course, email=user.email).raise_for_status()
    page.goto(place(live, course))
    page.locator("#enrolment .badge").wait_for()
    leave = page.get_by_role("button", name="Leave")
    assert leave.count() == 0
    author.http.delete(f"/api/v1/enrolments/{own(user, course)['id']}").raise_for_status()
    enrol(user, course).raise_for_status()
    page.reload()
    page.once("dialog", lambda dialog: dialog.accept())
    leave.click()
    page.get_by_role("button", name="Take this course").wait_for()


def test_question_without_a_right_choice_says_what_to_tick(live, page, author, course):
    new_lesson(author, course, quiz=[QUESTION, QUESTION])
    page.context.clear_cookies()
    log_in(page, live.url, author.email)
    page.goto(f"{place(live, course)}/edit")
    page.get_by_role("button", name="Edit: Keys").click()
    page.locator(".question").nth(1).get_by_label("This choice is right").nth(1).uncheck()
    page.get_by_role("button", name="Save lesson").click()
    page.get_by_text("Question 2: tick at least one right choice.", exact=True).wait_for()
    page.locator(".question").nth(0).get_by_label("Remove this choice").first.click()
    page.get_by_role("button", name="Save lesson").click()
    page.get_by_text("Question 1: give at least two choices.", exact=True).wait_for()


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles"])
def test_due_date_is_the_day_of_the_instructor(live, new_page, user, author, *, course, zone):
    page = new_page(timezone_id=zone, locale="en-US")
    log_in(page, live.url, author.email)
    page.goto(f"{place(live, course)}/cohort")
    page.get_by_label("E-mail address").fill(user.email)
    page.get_by_label("To be completed by").fill("2030-06-15")
    page.get_by_role("button", name="Enrol").click()
    due = page.get_by_role("row", name=user.email).locator("time")
    assert due.inner_text().startswith("Jun 15, 2030, 11:59")
