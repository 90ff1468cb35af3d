"""The scans and versions of a document, in Chromium."""

from tests.web.actions import RISKS, assert_accessible, log_in, shoot, sign_up, upload


def test_document_scanned_again_shows_what_changed(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    upload(page, "notes.txt", "\n\n".join(RISKS).encode())
    first = page.url
    page.get_by_role("button", name="History").click()
    page.get_by_role("button", name="Scan again").click()
    page.wait_for_url(lambda url: url != first)
    page.locator("#review[data-ready=true]").wait_for()
    page.get_by_role("button", name="History").click()
    page.get_by_text("0 new, 3 the same, 0 gone").wait_for()


def test_owner_uploads_the_next_version_and_returns_to_the_first(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    upload(page, "plan.txt", "\n\n".join(RISKS[:2]).encode())
    page.get_by_role("button", name="History").click()
    edited = {"name": "plan-v2.txt", "mimeType": "", "buffer": "\n\n".join(RISKS[1:]).encode()}
    page.locator("#version-file").set_input_files(edited)
    page.get_by_role("heading", name="plan-v2.txt").wait_for()
    assert "Version 2 of 2" in page.locator("#about").text_content()
    page.get_by_role("button", name="History").click()
    page.get_by_text("1 new, 1 the same, 1 gone").wait_for()
    shoot(page, "versions")
    assert_accessible(page)
    page.get_by_role("link", name="Version 1").click()
    page.get_by_role("heading", name="plan.txt").wait_for()


def test_refused_version_says_why_and_another_can_be_chosen(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    upload(page, "plan.txt", "\n\n".join(RISKS[:2]).encode())
    page.get_by_role("button", name="History").click()
    refused = {"name": "plan.exe", "mimeType": "", "buffer": b"MZ" + bytes(200)}
    page.locator("#version-file").set_input_files(refused)
    page.locator(".toast.bad").wait_for()
    assert page.locator("#version-file").is_enabled()
    edited = {"name": "plan-v2.txt", "mimeType": "", "buffer": RISKS[0].encode()}
    page.locator("#version-file").set_input_files(edited)
    page.get_by_role("heading", name="plan-v2.txt").wait_for()


def test_reviewer_sees_the_history_of_anothers_document_and_cannot_add_to_it(
    live, new_page, reviewer
):
    owner, page = new_page(), new_page()
    sign_up(owner, live.url)
    upload(owner, "plan.txt", RISKS[0].encode())
    owner.locator("mark.is-selected").wait_for()
    log_in(page, live.url, reviewer)
    page.goto(owner.url)
    page.get_by_role("button", name="History").click()
    page.get_by_text("Version 1 (shown)").wait_for()
    assert page.get_by_role("button", name="Scan again").is_hidden()
    assert page.locator("#version-file").count() == 0
