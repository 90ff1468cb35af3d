"""The risk register on its page, in Chromium."""

from tests.api.test_risk_files import workbook
from tests.web.actions import assert_accessible_in_every_view, sign_up

TITLE = "Supplier: find a second one"


def test_user_edits_a_risk_notes_something_and_sees_the_history(live, new_page):
    page = new_page(viewport={"width": 1280, "height": 800})
    sign_up(page, live.url)
    page.goto(f"{live.url}/risks")
    page.locator("#register[data-ready=true]").wait_for()
    page.get_by_role("button", name="New risk").click()
    page.get_by_label("Title", exact=True).fill(TITLE)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name=TITLE).wait_for()
    page.locator("#impact").select_option("5")
    page.locator("#due_on").fill("2020-01-31")
    page.get_by_role("button", name="Save").click()
    page.locator("#history").get_by_text("impact: 3 → 5").wait_for()
    page.get_by_label("New note").fill("Asked the supplier.")
    page.get_by_role("button", name="Add note").click()
    page.locator("#notes").get_by_text("Asked the supplier.").wait_for()
    page.locator("#risks").get_by_text("2020-01-31, overdue").wait_for()
    assert_accessible_in_every_view(page, "risks")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("No risks here.").wait_for()


def test_import_asks_before_it_ignores_columns(live, new_page):
    page = new_page(viewport={"width": 1280, "height": 800})
    sign_up(page, live.url)
    page.goto(f"{live.url}/risks")
    page.locator("#register[data-ready=true]").wait_for()
    data = workbook(["Title", "Due"], ["Fire", "31.12.2026"])
    file = {"name": "risks.xlsx", "mimeType": "", "buffer": data}
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.locator("#import-file").set_input_files(file)
    page.get_by_text("Nothing was imported.").wait_for()
    page.get_by_text("These columns are unknown and ignored: Due.").wait_for()
    page.once("dialog", lambda dialog: dialog.accept())
    page.locator("#import-file").set_input_files(file)
    page.get_by_text("Imported: 1 new risk").wait_for()
    page.get_by_text("These columns are unknown and ignored: Due.").wait_for()
