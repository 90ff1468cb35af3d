"""A double click on a button that creates something, in Chromium: it creates one."""

import pytest

from tests.api.conftest import new_account  # noqa: F401 - fixture
from tests.api.teaching import course_id, new_course
from tests.web.actions import RISKS, log_in, sign_up, upload


@pytest.fixture
def page(live, new_page):
    page = new_page(viewport={"width": 1280, "height": 800})
    sign_up(page, live.url)
    return page


@pytest.fixture
def created(page):
    """The addresses to which the page posts, from now on."""
    sent = []
    page.on("request", lambda request: request.method == "POST" and sent.append(request.url))
    return sent


def test_double_click_creates_one_session(live, page, created):
    page.goto(f"{live.url}/sessions")
    page.get_by_label("Name of the new session").fill("Tender")
    page.get_by_role("button", name="New session").dblclick()
    page.get_by_role("heading", name="Tender").wait_for()
    assert len(created) == 1


def test_double_click_creates_one_key_and_rotates_it_once(live, page, created):
    page.goto(f"{live.url}/keys")
    page.get_by_label("Which machine uses it?").fill("nightly")
    create = page.get_by_role("button", name="Create key")
    create.dblclick()
    page.get_by_text("The key of nightly").wait_for()
    page.get_by_role("button", name="Rotate the key nightly").dblclick()
    page.get_by_text("replaced").wait_for()
    assert len(created) == 2
    assert create.is_enabled()


def test_double_click_creates_one_risk_in_the_register(live, page, created):
    page.goto(f"{live.url}/risks")
    page.locator("#register[data-ready=true]").wait_for()
    page.get_by_role("button", name="New risk").click()
    page.get_by_label("Title", exact=True).fill("Fire")
    page.get_by_role("button", name="Save").dblclick()
    page.get_by_role("heading", name="Fire").wait_for()
    assert len(created) == 1


def test_double_click_makes_a_finding_one_risk(page, created):
    upload(page, "notes.txt", RISKS[0].encode())
    page.locator("mark.is-selected").wait_for()
    page.keyboard.press("y")
    page.get_by_role("button", name="Make it a risk").click()
    created.clear()
    page.get_by_role("button", name="Add to the register").dblclick()
    page.get_by_text("The risk is in the register.").wait_for()
    assert len(created) == 1


def test_double_click_saves_a_course_once(live, new_page, new_account):  # noqa: F811
    author, page = new_account("instructor"), new_page()
    course = new_course(author)
    log_in(page, live.url, author.email)
    page.goto(f"{live.url}/courses/{course_id(course)}/edit")
    page.get_by_text("No lessons").wait_for()
    page.get_by_label("Title", exact=True).fill("Renamed")
    page.get_by_role("button", name="Save course").dblclick()
    page.get_by_text("The course is saved.").wait_for()
    page.wait_for_load_state("networkidle")
    assert page.locator("#fault").is_hidden()
    assert author.http.get(course).json()["version"] == 2
