"""The review page by keyboard, mouse and screen reader, in Chromium."""

import pytest

from tests.web.actions import RISKS, assert_accessible_in_every_view, hold, sign_up, upload

FEEDBACK = "**/feedback"
MARKET = "Market, economic or competitive change"
OUTAGE = "Outage or single point of failure"
SCOPE = "Scope growth or uncontrolled change"


@pytest.fixture
def page(live, new_page):
    """The review of three findings, of which the first is selected."""
    page = new_page(viewport={"width": 1280, "height": 800})
    sign_up(page, live.url)
    upload(page, "notes.txt", "\n\n".join(RISKS).encode())
    page.locator("mark.is-selected").wait_for()
    return page


def selected(page):
    return page.locator(".finding[aria-current=true] .finding-text").text_content()


def test_late_answer_leaves_the_selected_finding(page):
    held = hold(page, FEEDBACK)
    with page.expect_request(FEEDBACK):
        page.keyboard.press("y")
    page.keyboard.press("j")
    page.keyboard.press("j")
    held.pop().continue_()
    page.locator(".finding.is-confirmed").wait_for()
    assert selected(page) == RISKS[2]


def focused(page):
    return page.evaluate("document.activeElement.textContent")


def test_enter_on_confirm_keeps_the_focus_and_says_what_is_next(page):
    page.get_by_role("button", name="Confirm").focus()
    page.keyboard.press("Enter")
    page.locator("#spoken", has_text=f"{RISKS[1]}").wait_for(state="attached")
    assert page.locator("#spoken").text_content().startswith("Confirmed. Next: ")
    assert focused(page) == "Confirm y"
    assert selected(page) == RISKS[1]


def test_arrow_keys_move_in_the_list_and_tab_leaves_it(page):
    page.locator(".finding").first.focus()
    page.keyboard.press("ArrowDown")
    assert selected(page) == RISKS[1]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert RISKS[1] in focused(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('#detail').contains(document.activeElement)")


def test_letter_judges_the_finding_that_has_the_focus_and_moves_it_on(page):
    page.locator(".finding").nth(1).focus()
    page.keyboard.press("n")
    page.locator(".finding.is-rejected").wait_for()
    assert RISKS[1] in page.locator(".finding.is-rejected").text_content()
    assert RISKS[2] in focused(page)


def test_focus_stays_in_the_list_when_a_filter_hides_the_judged_finding(page):
    page.locator("#f-verdict").select_option("open")
    page.locator(".finding").first.focus()
    page.keyboard.press("y")
    page.locator(".finding").nth(2).wait_for(state="detached")
    assert RISKS[1] in focused(page)


def test_typed_comment_goes_with_the_next_verdict(page):
    page.keyboard.press("y")
    page.locator(".finding.is-confirmed").wait_for()
    page.locator(".finding").first.click()
    comment = page.get_by_label("Comment on this finding")
    comment.fill("See annex B.")
    page.locator(".finding").nth(1).click()
    page.locator(".finding").first.click()
    assert comment.input_value() == "See annex B."
    page.get_by_role("button", name="Reject").click()
    page.locator(".finding.is-rejected").wait_for()
    page.reload()
    page.locator(".finding.is-rejected").click()
    assert comment.input_value() == "See annex B."


def test_two_risk_types_are_given_by_mouse(page):
    page.get_by_role("button", name="Relabel").click()
    apply = page.get_by_role("button", name="Apply")
    assert apply.is_disabled()
    for title in (MARKET, OUTAGE, SCOPE):
        page.locator("#picker-list li", has_text=title).first.click()
    page.get_by_role("button", name=f"Remove {SCOPE}").click()
    assert_accessible_in_every_view(page, "relabel-two")
    page.set_viewport_size({"width": 1280, "height": 800})
    apply.click()
    page.locator(".finding.is-relabelled", has_text=f"{MARKET}, {OUTAGE}").wait_for()


def test_relabelling_is_cancelled_by_mouse(page):
    page.get_by_role("button", name="Relabel").click()
    page.locator("#picker-list li").first.click()
    page.get_by_role("button", name="Cancel").click()
    page.locator("#picker").wait_for(state="hidden")
    page.get_by_role("button", name="Relabel").click()
    assert page.get_by_role("button", name="Apply").is_disabled()
    assert page.locator(".finding.is-relabelled").count() == 0


def tab_into_the_list(page):
    """Press Tab on the last filter; return the sentence of the finding that gets the focus."""
    page.locator("#f-score").focus()
    page.keyboard.press("Tab")
    return page.evaluate("document.activeElement.closest('.finding')?.textContent")


def test_tab_reaches_the_list_when_no_finding_is_selected(page):
    page.goto(f"{page.url.split('?')[0]}?at=0")
    page.locator("#marker").wait_for()
    assert page.locator(".finding[aria-current=true]").count() == 0
    assert RISKS[0] in tab_into_the_list(page)


def test_tab_reaches_the_list_when_a_filter_hides_the_selected_finding(page):
    for n in (0, 1):
        page.locator(".finding").nth(n).click()
        page.keyboard.press("n")
        page.locator(".finding.is-rejected").nth(n).wait_for()
    page.locator("#f-verdict").select_option("rejected")
    page.locator("#detail button[name=confirmed]").click()
    page.locator(".finding").nth(1).wait_for(state="detached")
    assert RISKS[1] in tab_into_the_list(page)


def test_page_with_a_typed_comment_asks_before_it_is_left(page):
    page.keyboard.press("y")
    page.locator(".finding.is-confirmed").click()
    page.get_by_label("Comment on this finding").fill("See annex B.")
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_role("link", name="Dashboard").click()
    assert asked == ["beforeunload"]
    page.get_by_label("Comment on this finding").press("Enter")
    page.get_by_text("Comment saved.").wait_for()
    page.get_by_role("link", name="Dashboard").click()
    page.wait_for_url("**/dashboard")
