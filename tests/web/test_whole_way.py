"""The whole way in Chromium: from a text to a finding, its course, a risk of the register and the report."""

import io

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from tests.web.actions import RISKS, assert_accessible_in_every_view, log_in, open_tab
from tests.web.conftest import PASSWORD

BUDGET = RISKS[2]
COURSE = "Budgets that hold"
TITLE = "Budget: agree a reserve"


@pytest.fixture
def accounts(live):
    """Addresses of an instructor and of a reviewer."""
    emails = {role: f"{role}@way.local" for role in ("instructor", "reviewer")}
    for role, email in emails.items():
        live.services.accounts.register(email, PASSWORD, role=role)
    return emails


def test_reviewer_learns_from_a_finding_makes_it_a_risk_and_reports_it(live, new_page, accounts):
    teacher, page = new_page(), new_page(viewport={"width": 1280, "height": 800})
    log_in(teacher, live.url, accounts["instructor"])
    write_course(teacher)
    log_in(page, live.url, accounts["reviewer"])
    scan(page, BUDGET)
    refuse_unconfirmed(page)
    confirm(page)
    take_recommended_course(page)
    page.get_by_role("link", name="Riskscan, documents").click()
    page.get_by_role("link", name="Pasted text").click()
    make_risk(page)
    find_in_matrix(page)
    page.locator("#quotes").get_by_role("link", name="Pasted text").click()
    page.locator("#review[data-ready=true]").wait_for()
    download_reports(page)
    reject_and_remove(page)
    see_cohort(teacher, accounts["reviewer"])


def write_course(page):
    """Create an active course about budgets with a lesson and a quiz."""
    open_tab(page, "Courses")
    page.get_by_label("Code").fill("BUD-101")
    page.get_by_label("Title").fill(COURSE)
    page.get_by_role("button", name="Create draft").click()
    page.get_by_label("Budget", exact=True).check()
    page.get_by_label("Status").select_option("active")
    page.get_by_role("button", name="Save course").click()
    page.get_by_text("The course is saved.").wait_for()
    page.get_by_role("button", name="Add a lesson").click()
    page.get_by_label("Title of the lesson").fill("Reserves")
    page.get_by_label("Text in Markdown").fill(
        "# Why\n\nPlan *ten* percent. <script>alert(1)</script>"
    )
    page.get_by_role("button", name="Preview").click()
    page.locator("#preview").get_by_role("heading", name="Why").wait_for()
    assert page.locator("#preview script").count() == 0
    page.get_by_role("button", name="Add a question").click()
    page.get_by_role("textbox", name="Question").fill("How much?")
    for n, choice in enumerate(("None", "Ten percent")):
        page.get_by_role("textbox", name="Choice").nth(n).fill(choice)
    page.get_by_label("This choice is right").nth(1).check()
    page.get_by_role("button", name="Save lesson").click()
    page.get_by_text("The lesson is saved.").wait_for()
    assert_accessible_in_every_view(page, "course-editor")


def scan(page, text):
    page.get_by_role("button", name="paste text").click()
    page.get_by_label("Text to scan").fill(text)
    page.get_by_role("button", name="Scan text").click()
    page.locator("#uploads").get_by_role("link", name="Review").click()
    page.locator("#findings").get_by_text(text).wait_for()


def refuse_unconfirmed(page):
    button = page.get_by_role("button", name="Make it a risk")
    page.get_by_text("Confirm or relabel it first").wait_for()
    assert button.is_disabled()
    page.locator(".acts").get_by_role("button", name="Reject").click()
    page.get_by_text("A rejected finding supports no risk.").wait_for()
    assert button.is_disabled()
    assert page.get_by_role("list", name="Recommended courses").count() == 0


def confirm(page):
    page.get_by_role("button", name="Confirm").click()
    page.locator(".finding.is-confirmed").wait_for()


def take_recommended_course(page):
    """Follow the course from the finding, see why it is recommended, start it, and pass its quiz."""
    page.get_by_role("list", name="Recommended courses").get_by_role("link", name=COURSE).wait_for()
    open_tab(page, "Courses")
    card = page.locator("#recommended article")
    card.get_by_text("1 confirmed finding of Budget").wait_for()
    assert_accessible_in_every_view(page, "courses")
    card.locator(".reasons a").click()
    page.get_by_role("list", name="Recommended courses").get_by_role("link", name=COURSE).click()
    page.get_by_role("button", name="Take this course").click()
    page.get_by_text("0 of 1 lesson").wait_for()
    page.get_by_role("link", name="Start").click()
    pass_quiz(page)
    page.get_by_role("link", name="Back to the course").click()
    page.get_by_text("1 of 1 lesson").wait_for()
    page.locator(".badge", has_text="completed").wait_for()
    page.get_by_role("heading", name="Before and after").wait_for()
    assert_accessible_in_every_view(page, "course")
    page.get_by_role("link", name="All courses").click()
    page.locator("#own .badge", has_text="completed").wait_for()
    page.wait_for_load_state("networkidle")
    assert page.locator("#recommended article").count() == 0


def pass_quiz(page):
    page.locator("#text").get_by_role("heading", name="Why").wait_for()
    page.get_by_label("None").check()
    page.get_by_role("button", name="Check and finish").click()
    page.get_by_text("0 of 1 answer right.").wait_for()
    page.get_by_label("None").uncheck()
    page.get_by_label("Ten percent").check()
    page.get_by_role("button", name="Check and finish").press("Enter")
    page.get_by_text("The quiz is passed.").wait_for()
    assert_accessible_in_every_view(page, "lesson")


def fill_risk(page):
    page.get_by_role("button", name="Make it a risk").click()
    page.get_by_label("Title").fill(TITLE)
    page.locator("#risk-likelihood").select_option("5")
    page.locator("#risk-impact").select_option("4")
    page.get_by_role("button", name="Add to the register").click()


def make_risk(page):
    fill_risk(page)
    page.get_by_role("list", name="Risks").get_by_role("link", name=TITLE).wait_for()
    assert_accessible_in_every_view(page, "review-risk")
    page.get_by_role("list", name="Risks").get_by_role("link", name=TITLE).click()


def find_in_matrix(page):
    """Filter the register by the cells of the matrix, export it, and open the risk."""
    page.locator("#register[data-ready=true]").wait_for()
    page.get_by_role("heading", name=TITLE).wait_for()
    page.get_by_role("button", name="Likelihood 1, impact 1: 0 risks").click()
    page.get_by_text("No risks here.").wait_for()
    page.get_by_role("button", name="Likelihood 5, impact 4: 1 risk").click()
    page.get_by_role("button", name=TITLE).wait_for()
    _, workbook = downloaded(page, page.get_by_role("link", name="Export XLSX"))
    assert [row[2] for row in load_workbook(io.BytesIO(workbook)).active.values] == ["Title", TITLE]
    page.get_by_role("button", name=TITLE).click()


def reject_and_remove(page):
    """Reject the finding of the risk, be told that it still supports it, and remove it there."""
    page.locator(".acts").get_by_role("button", name="Reject").click()
    page.get_by_text(f"Rejected, but it still supports “{TITLE}”").wait_for()
    page.get_by_role("list", name="Risks").get_by_role("link", name=TITLE).click()
    page.locator("#history").get_by_text(f"finding added: Pasted text: “{BUDGET}”").wait_for()
    page.get_by_text("Rejected since:").wait_for()
    assert_accessible_in_every_view(page, "risk-rejected")
    page.get_by_role("button", name="Remove it from the risk").click()
    page.get_by_text("No finding supports it.").wait_for()
    page.locator("#history").get_by_text("finding removed: Pasted text").wait_for()


def download_reports(page):
    page.locator("#report-menu summary").click()
    menu = page.locator("#report-menu")
    name, pdf = downloaded(page, menu.get_by_role("link", name="PDF"))
    text = " ".join(p.extract_text() for p in PdfReader(io.BytesIO(pdf)).pages)
    assert name.endswith(".pdf")
    assert BUDGET in " ".join(text.split())
    assert "confirmed" in text
    _, workbook = downloaded(page, menu.get_by_role("link", name="Excel (XLSX)"))
    rows = [*load_workbook(io.BytesIO(workbook))["Findings"].values]
    assert "confirmed" in [row[8] for row in rows]


def downloaded(page, link):
    with page.expect_download() as started:
        link.click()
    return started.value.suggested_filename, started.value.path().read_bytes()


def see_cohort(page, email):
    open_tab(page, "Courses")
    page.get_by_role("link", name=f"Cohort: {COURSE}").click()
    page.get_by_text(email).wait_for()
    page.get_by_text("1 completed").wait_for()
    page.get_by_role("cell", name="recommended").wait_for()
    assert_accessible_in_every_view(page, "cohort")
