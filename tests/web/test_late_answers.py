"""Lists of which a filter changes, or more is asked for, before an answer arrives, in Chromium."""

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
