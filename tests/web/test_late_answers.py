"""Lists of which a filter changes, or more is asked for, before an answer arrives, in Chromium."""

import pytest

from tests.web.actions import hold, log_in

BLOCK = {
    "id": "1",
    "network": "192.0.2.0/24",
    "reason": "A test",
    "created_at": "2026-11-01T10:00:00Z",
    "created_by": None,
    "expires_at": None,
}


def test_late_answer_to_an_earlier_filter_is_dropped(live, new_page, reviewer):
    page = new_page()
    log_in(page, live.url, reviewer)
    page.goto(f"{live.url}/users")
    rows = page.locator("#accounts tbody tr")
    rows.first.wait_for()
    held = hold(page, "**/api/v1/users?*state=disabled*")
    with page.expect_request("**/api/v1/users?*state=disabled*"):
        page.locator("#state").select_option("disabled")
    page.locator("#state").select_option("")
    with page.expect_response("**/api/v1/users?*search=*"):
        page.locator("#search").fill(reviewer)
    page.get_by_role("row", name=reviewer).wait_for()
    with page.expect_response("**/api/v1/users?*state=disabled*"):
        held.pop().continue_()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(200)
    assert page.get_by_role("row", name=reviewer).count() == 1


def test_second_click_on_show_more_repeats_no_row(live, new_page, reviewer):
    page = new_page()
    log_in(page, live.url, reviewer)
    answer = {"items": [BLOCK], "next_cursor": "next"}
    page.route("**/api/v1/admin/blocks?*", lambda route: route.fulfill(json=answer))
    page.goto(f"{live.url}/blocks")
    more = page.get_by_role("button", name="Show more")
    more.wait_for()
    held = hold(page, "**/api/v1/admin/blocks?*cursor=next*")
    more.dblclick()
    while len(held) < 2:
        page.wait_for_timeout(10)
    for route in held:
        route.fulfill(json=answer)
    page.locator("#blocks tbody tr").nth(1).wait_for()
    page.wait_for_timeout(200)
    assert page.locator("#blocks tbody tr").count() == 2


@pytest.mark.parametrize(
    ("path", "list_", "field", "value"),
    [
        ("users", "users", "#state", "disabled"),
        ("courses", "courses", "#search", "Nothing"),
        ("risks", "risks", "#f-state", "closed"),
        ("", "scans", "#scope", "team"),
    ],
)
def test_list_is_not_continued_while_a_filter_changes_it(
    live, new_page, reviewer, *, path, list_, field, value
):
    page = new_page()
    log_in(page, live.url, reviewer)
    answer = {"items": [], "next_cursor": "next"}
    page.route(f"**/api/v1/{list_}?*", lambda route: route.fulfill(json=answer))
    page.route(f"**/api/v1/{list_}", lambda route: route.fulfill(json=answer))
    page.goto(f"{live.url}/{path}")
    more = page.locator("#more:visible")
    more.wait_for()
    held = hold(page, f"**/api/v1/{list_}?*{value}*")
    with page.expect_request(f"**/api/v1/{list_}?*{value}*"):
        set_field(page.locator(field), value)
    assert not more.count()
    held.pop().fulfill(json=answer)
    more.wait_for()


def set_field(field, value):
    if field.evaluate("field => field.tagName") == "SELECT":
        field.select_option(value)
    else:
        field.fill(value)


def test_late_answer_fills_no_emptied_search(live, new_page, reviewer):
    page = new_page()
    log_in(page, live.url, reviewer)
    page.goto(f"{live.url}/search")
    page.locator("#search[data-ready=true]").wait_for()
    held = hold(page, "**/api/v1/search?*")
    page.locator("#q").fill("budget")
    with page.expect_request("**/api/v1/search?*"):
        page.keyboard.press("Enter")
    page.locator("#q").fill("")
    page.keyboard.press("Enter")
    with page.expect_response("**/api/v1/search?*"):
        held.pop().continue_()
    page.wait_for_timeout(200)
    assert page.locator("#about").text_content() == ""
