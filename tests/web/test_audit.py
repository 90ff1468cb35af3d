"""The page of the audit trail, in Chromium."""

import json

from playwright.sync_api import expect

from tests.web.actions import RISKS, log_in, open_tab, sign_up, upload


def test_auditor_follows_an_account_and_downloads_its_events(live, new_page, reviewer):
    owner, page = new_page(), new_page()
    sign_up(owner, live.url)
    upload(owner, "plan.txt", RISKS[0].encode())
    live.services.audit_seals.seal()
    log_in(page, live.url, reviewer)
    open_tab(page, "Audit")
    page.get_by_text("events are sealed").wait_for()
    registered = page.get_by_role("row", name="user.registered")
    page.get_by_label("Action").select_option("scan.created")
    expect(registered).to_have_count(0)
    page.get_by_role("row", name="scan.created").first.locator("td").nth(2).get_by_role(
        "button"
    ).click()
    assert page.get_by_label("Id of the account that acted").input_value()
    page.get_by_label("Action").select_option("")
    expect(registered).to_have_count(1)
    actions = set(page.locator("#events tbody .title").all_text_contents())
    assert {"user.registered", "user.logged_in", "scan.created"} <= actions
    with page.expect_download() as download:
        page.get_by_role("link", name="Download JSON lines").click()
    *lines, last = download.value.path().read_text().splitlines()
    assert json.loads(last)["complete"]
    assert {json.loads(line)["action"] for line in lines} == actions
    page.reload()
    page.locator("#exports").get_by_role("row", name="audit trail jsonl").get_by_text(
        "finished"
    ).wait_for()
