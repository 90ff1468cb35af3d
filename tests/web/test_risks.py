"""The risk register on its page, in Chromium."""

from tests.api.conftest import admin, new_account, team_of  # noqa: F401 - fixtures
from tests.api.reviewing import judge
from tests.api.risk_register import confirmed, created, id_of, scanned
from tests.api.test_risk_files import workbook
from tests.web.actions import assert_accessible_in_every_view, log_in, sign_up

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


def test_member_reads_that_a_finding_is_rejected_but_cannot_remove_it(
    live,
    new_page,
    new_user,
    team_of,  # noqa: F811
):
    creator, member = new_user(), new_user()
    scan = scanned(creator)
    chosen = confirmed(creator, scan)
    risk = created(creator, finding=chosen, team_id=team_of(creator, member))
    judge(creator, scan, chosen["n"], "rejected").raise_for_status()
    page = new_page(viewport={"width": 1280, "height": 800})
    log_in(page, live.url, member.email)
    page.goto(f"{live.url}/risks?risk={id_of(risk)}")
    doubt = page.locator("#quotes p", has_text="Rejected since")
    doubt.wait_for()
    assert doubt.text_content() == "Rejected since: it no longer shows this risk. "
    page.locator("#risks").get_by_text("in the newest scan, rejected since").wait_for()
