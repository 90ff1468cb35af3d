"""Reports and the risk register on the pages, in Chromium."""

import io

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from tests.web.actions import RISKS, assert_accessible_in_every_view, sign_up, upload

TITLE = "Supplier: find a second one"


@pytest.fixture
def page(live, new_page):
    """The review of a document with a finding."""
    page = new_page(viewport={"width": 1280, "height": 800})
    sign_up(page, live.url)
    upload(page, "plan.txt", " ".join(RISKS).encode())
    page.locator("mark.is-selected").wait_for()
    return page


def downloaded(page, link):
    with page.expect_download() as started:
        link.click()
    return started.value.suggested_filename, started.value.path().read_bytes()


def report(page, name):
    menu = page.locator("#report-menu")
    if menu.get_attribute("open") is None:
        menu.locator("summary").click()
    return downloaded(page, menu.get_by_role("link", name=name))


def make_risk(page):
    page.get_by_role("button", name="Make it a risk").click()
    page.get_by_label("Title").fill(TITLE)
    page.locator("#risk-likelihood").select_option("5")
    page.locator("#risk-impact").select_option("4")
    page.get_by_role("button", name="Add to the register").click()


def test_user_confirms_a_finding_makes_it_a_risk_and_downloads_reports(page, live):
    make_risk(page)
    page.get_by_role("alert").get_by_text("This finding is not confirmed.").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.keyboard.press("k")
    page.keyboard.press("y")
    page.locator(".verdict.v-confirmed").first.wait_for()
    page.locator("#findings button").first.click()
    make_risk(page)
    page.get_by_role("list", name="Risks").get_by_role("link", name=TITLE).wait_for()
    name, pdf = report(page, "PDF")
    text = " ".join(p.extract_text() for p in PdfReader(io.BytesIO(pdf)).pages)
    assert name == "plan-report.pdf"
    assert "confirmed" in text
    _, workbook = report(page, "Excel (XLSX)")
    rows = [*load_workbook(io.BytesIO(workbook))["Findings"].values]
    assert "confirmed" in [row[8] for row in rows]
    assert_accessible_in_every_view(page, "review-risk")
    page.goto(f"{live.url}/risks")
    page.locator("#register[data-ready=true]").wait_for()
    page.get_by_role("button", name="Likelihood 5, impact 4: 1 risk").click()
    page.get_by_role("button", name=TITLE).wait_for()
    _, workbook = downloaded(page, page.get_by_role("link", name="Export XLSX"))
    assert [row[2] for row in load_workbook(io.BytesIO(workbook)).active.values] == ["Title", TITLE]
    page.get_by_role("button", name="Likelihood 1, impact 1: 0 risks").click()
    page.get_by_text("No risks here.").wait_for()


def test_user_edits_a_risk_notes_something_and_sees_the_history(page, live):
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
