"""The page where administrators invite people and change accounts, and that of a link, in Chromium."""

import secrets

from playwright.sync_api import expect

from tests.web.actions import (
    assert_accessible,
    assert_accessible_in_every_view,
    hold,
    log_in,
    open_tab,
    shoot,
    sign_up,
)
from tests.web.conftest import PASSWORD

ACCOUNT = "**/api/v1/users/*"


def click_and_load_again(page, row, button, field, choice):
    """Click a button of the row, whose answer is held, and filter the list so that it is loaded again."""
    old = row.element_handle()
    with page.expect_request(ACCOUNT):
        row.get_by_role("button", name=button).click()
    page.locator(field).select_option(choice)
    page.wait_for_function("row => !row.isConnected", arg=old)


def row_of(page, email):
    """Search for an account; return its row, which stands alone once no further list is on its way."""
    page.get_by_placeholder("E-mail address").fill(email)
    expect(page.locator("#accounts tbody tr")).to_have_count(1)
    return page.get_by_role("row", name=email)


def test_invited_person_chooses_a_password_and_logs_in(live, new_page, reviewer):
    page, email = new_page(), f"{secrets.token_hex(8)}@corp.local"
    log_in(page, live.url, reviewer)
    open_tab(page, "Users")
    page.get_by_placeholder("name@company.example").fill(email)
    page.locator("#role").select_option("auditor")
    page.get_by_role("button", name="Invite").click()
    link = page.locator("#link code").text_content()
    assert_accessible_in_every_view(page, "invitation")
    row_of(page, email).get_by_text("invited").wait_for()

    person = new_page()
    person.goto(link)
    person.get_by_label("New password").fill(PASSWORD)
    shoot(person, "password")
    assert_accessible(person)
    person.get_by_role("button", name="Save").click()
    person.get_by_text("Your password is saved.").wait_for()
    log_in(person, live.url, email)
    person.goto(link)
    person.get_by_label("New password").fill(PASSWORD)
    person.get_by_role("button", name="Save").click()
    person.get_by_text("This link does not work").wait_for()
    page.reload()
    row_of(page, email).get_by_text("enabled").wait_for()


def test_administrator_changes_disables_and_deletes_an_account(live, new_page, reviewer):
    other, page = new_page(), new_page()
    email = sign_up(other, live.url)
    log_in(page, live.url, reviewer)
    page.goto(f"{live.url}/users")
    row = row_of(page, email)
    row.get_by_label(f"Role of {email}", exact=True).select_option("reviewer")
    row.get_by_role("button", name="Save the role").click()
    page.get_by_text(f"{email} is now reviewer.").wait_for()
    other.reload()
    other.get_by_role("link", name="Review queue").wait_for()
    row.get_by_role("button", name="Disable").click()
    row.get_by_text("disabled", exact=True).wait_for()
    other.reload()
    other.get_by_role("heading", name="Log in").wait_for()
    row.get_by_role("button", name="Enable").click()
    row.get_by_text("enabled", exact=True).wait_for()
    page.on("dialog", lambda dialog: dialog.accept())
    row.get_by_role("button", name="Delete").click()
    row.wait_for(state="detached")


def test_arrow_keys_assign_no_role_until_it_is_saved(live, new_page, reviewer):
    other, page = new_page(), new_page()
    email = sign_up(other, live.url)
    log_in(page, live.url, reviewer)
    page.goto(f"{live.url}/users")
    role = row_of(page, email).get_by_label(f"Role of {email}", exact=True)
    save = page.get_by_role("button", name=f"Save the role of {email}")
    changes = []
    page.on("request", lambda request: request.method == "PATCH" and changes.append(request))
    for key, is_shown in (("ArrowDown", True), ("ArrowUp", False), ("ArrowDown", True)):
        role.press(key)
        assert save.is_visible() == is_shown
    assert not changes
    save.click()
    page.get_by_text(f"{email} is now {role.input_value()}.").wait_for()
    save.wait_for(state="hidden")


def test_change_is_shown_although_the_list_was_loaded_again_before_its_answer(
    live, new_page, reviewer
):
    page = new_page()
    email = sign_up(new_page(), live.url)
    log_in(page, live.url, reviewer)
    page.goto(f"{live.url}/users")
    row = row_of(page, email)
    held = hold(page, ACCOUNT)
    click_and_load_again(page, row, "Disable", "#with-role", "user")
    held.pop().continue_()
    row.get_by_text("disabled", exact=True).wait_for()


def test_role_is_shown_although_the_list_was_loaded_again_before_its_answer(
    live, new_page, reviewer
):
    page = new_page()
    email = sign_up(new_page(), live.url)
    log_in(page, live.url, reviewer)
    page.goto(f"{live.url}/users")
    row = row_of(page, email)
    held, role = hold(page, ACCOUNT), row.get_by_label(f"Role of {email}", exact=True)
    role.select_option("analyst")
    click_and_load_again(page, row, "Save the role", "#state", "enabled")
    expect(role).to_have_value("user")
    held.pop().continue_()
    expect(role).to_have_value("analyst")


def test_page_is_for_administrators(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    assert page.get_by_role("link", name="Users").count() == 0
    assert page.goto(f"{live.url}/users").status == 403
