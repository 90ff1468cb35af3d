"""The pages in Chromium, as a new user and as a reviewer meet them. Screenshots are in var/screenshots."""

import io
import json

from service.domain.adjudication import Status
from service.domain.audit import Actor
from tests.support.documents import pdf_of_pages
from tests.support.waiting import wait_until
from tests.web.actions import (
    HARMLESS,
    RISKS,
    assert_accessible_in_every_view,
    hold,
    log_in,
    shoot,
    sign_up,
    upload,
)
from tests.web.conftest import PASSWORD


def report_pdf(n_pages=200, n_findings=24):
    """A report of `n_pages` pages with little text; the first `n_findings` of them state a risk."""
    pages = [[f"Chapter {n}.", HARMLESS] for n in range(1, n_pages + 1)]
    for n, page in enumerate(pages[:n_findings]):
        page.insert(1, RISKS[n % len(RISKS)])
    return pdf_of_pages(pages)


def exported(live):
    lines = io.StringIO()
    counts = live.services.feedback_export.write(lines, actor=Actor.current_operator())
    return [json.loads(line) for line in lines.getvalue().splitlines()], counts


def progress(page):
    return page.locator("#progress-text").text_content()


def test_new_user_reviews_a_long_document_by_keyboard(live, new_page):
    page = new_page(viewport={"width": 1280, "height": 800})
    sign_up(page, live.url)
    shoot(page, "documents")
    upload(page, "report.pdf", report_pdf())
    page.locator("mark.is-selected").wait_for()
    for n in range(1, 21):
        page.keyboard.press("n" if n % 5 == 0 else "y")
        wait_until(lambda n=n: progress(page).startswith(f"{n} of "), lambda: progress(page))
    shoot(page, "reviewed")
    page.keyboard.press("]")
    while HARMLESS not in page.evaluate("getSelection().toString()"):
        page.keyboard.press("]")
    page.keyboard.press("m")
    page.keyboard.type("outage")
    shoot(page, "marking")
    page.keyboard.press("Enter")
    page.get_by_text("Marked as missed.").wait_for()
    lines, counts = exported(live)
    assert not counts[Status.UNVERIFIED]
    assert [line["labels"] for line in lines if line["text"] == HARMLESS] == [["outage"]]
    verdicts = [v["verdict"] for line in lines for v in line["provenance"]["verdicts"]]
    assert (verdicts.count("confirmed"), verdicts.count("rejected")) == (16, 4)


def test_verdict_is_undone_and_a_finding_relabelled_by_typing(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    upload(page, "notes.txt", "\n\n".join(RISKS).encode())
    page.locator("mark.is-selected").wait_for()
    page.keyboard.press("n")
    page.locator(".finding.is-rejected").wait_for()
    page.keyboard.press("u")
    page.locator(".finding.is-rejected").wait_for(state="detached")
    page.keyboard.press("r")
    page.keyboard.type("outage")
    page.keyboard.press("Enter")
    page.locator(".finding.is-relabelled").wait_for()
    page.reload()
    assert page.locator(".finding.is-relabelled .finding-risk").text_content().startswith("Outage")


def test_file_chosen_before_the_script_runs_is_scanned(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    held = hold(page, "**/home.js*")
    with page.expect_request("**/home.js*"):
        page.goto(live.url, wait_until="commit")
    file = {"name": "notes.txt", "mimeType": "", "buffer": RISKS[0].encode()}
    page.locator("#file").set_input_files(file)
    held.pop().continue_()
    page.locator("#uploads").get_by_role("link", name="Review").wait_for()


def test_comment_stays_beside_the_verdict_when_that_changes(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    upload(page, "notes.txt", RISKS[0].encode())
    page.locator("mark.is-selected").wait_for()
    page.keyboard.press("y")
    page.locator(".finding.is-confirmed").wait_for()
    page.locator("#comment:enabled").wait_for()
    page.keyboard.press("c")
    page.keyboard.type("See annex B.")
    page.keyboard.press("Enter")
    page.get_by_text("Comment saved.").wait_for()
    page.locator("#findings").focus()
    page.keyboard.press("n")
    page.locator(".finding.is-rejected").wait_for()
    page.reload()
    page.locator(".finding.is-rejected").wait_for()
    assert page.get_by_label("Comment on this finding").input_value() == "See annex B."


def test_files_of_a_session_are_scanned_one_by_one_and_together(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    page.goto(f"{live.url}/sessions")
    page.get_by_label("Name of the new session").fill("Tender")
    page.get_by_role("button", name="New session").click()
    page.get_by_role("heading", name="Tender").wait_for()
    files = [
        {"name": f"{n}.txt", "mimeType": "", "buffer": risk.encode()}
        for n, risk in enumerate(RISKS)
    ]
    files.append({"name": "broken.pdf", "mimeType": "", "buffer": b"%PDF-1.7"})
    page.locator("#file").set_input_files(files)
    page.get_by_role("button", name="Scan 0.txt").click()
    page.get_by_role("link", name="Review 1 finding").wait_for()
    page.get_by_role("button", name="Scan all").click()
    page.locator("#files .bad").wait_for()
    wait_until(lambda: page.get_by_role("link", name="Review 1 finding").count() == 3)
    shoot(page, "session-scanned")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    page.get_by_role("link", name="Review 1 finding").first.click()
    page.locator("#review[data-ready=true]").wait_for()


def test_scan_of_somebody_else_has_no_button_to_delete_it(live, new_page, reviewer):
    own, other = new_page(), new_page()
    sign_up(own, live.url)
    upload(own, "somebody-elses.txt", RISKS[0].encode())
    log_in(other, live.url, reviewer)
    other.get_by_label("Whose scans").select_option("reviewable")
    row = other.get_by_role("row", name="somebody-elses.txt")
    row.first.wait_for()
    assert row.get_by_role("button", name="Delete").count() == 0
    own.goto(live.url)
    own.get_by_role("button", name="Delete the scan of somebody-elses.txt").wait_for()


def test_scores_of_any_sentence_and_words_that_carry_them_are_shown_by_keyboard(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    upload(page, "notes.txt", "\n\n".join([*RISKS, HARMLESS]).encode())
    page.locator("mark.is-selected").wait_for()
    page.keyboard.press("w")
    page.get_by_role("heading", name="Scores of this sentence").wait_for()
    page.locator("#scores .effect", has_text="bankrupt").wait_for()
    assert "without \u201cbankrupt\u201d" in page.locator("#scores-words").text_content()
    assert page.locator("#scores-rows .is-reported").count() == 1
    assert_accessible_in_every_view(page, "scores")
    page.keyboard.press("Escape")
    while HARMLESS not in page.evaluate("getSelection().toString()"):
        page.keyboard.press("]")
    page.keyboard.press("w")
    page.locator("#scores-quote", has_text=HARMLESS).wait_for()
    assert page.locator("#scores-rows .is-reported").count() == 0
    assert "it would be reported from" in page.locator("#scores-about").text_content()


def test_long_document_loads_only_what_is_seen(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    texts = []
    page.on("request", lambda request: "/text?" in request.url and texts.append(request.url))
    upload(page, "long.pdf", report_pdf(500, 3))
    page.locator("mark.is-selected").wait_for()
    assert 0 < len(texts) < 60
    page.locator("#text").evaluate("pane => pane.scrollTo(0, pane.scrollHeight)")
    page.get_by_text("Chapter 500.").wait_for()


def test_reviewer_judges_the_random_sample_and_the_dashboard_estimates_recall(
    start_service, new_page
):
    live = start_service(REVIEW_SAMPLE_SHARE="1")
    live.services.accounts.register("reviewer@corp.local", PASSWORD, role="admin")
    page = new_page()
    log_in(page, live.url, "reviewer@corp.local")
    upload(page, "notes.txt", "\n\n".join([*RISKS, HARMLESS, "The room is blue."]).encode())
    for n in range(1, 4):
        page.keyboard.press("y")
        wait_until(lambda n=n: progress(page).startswith(f"{n} of "), lambda: progress(page))
    page.goto(f"{live.url}/queue?kind=sample")
    page.get_by_text("2 wait").wait_for()
    page.locator(".queue-item:focus .around").first.wait_for()
    page.keyboard.press("n")
    page.locator(".queue-item").nth(1).wait_for(state="detached")
    page.keyboard.press("y")
    page.keyboard.type("outage")
    page.keyboard.press("Enter")
    page.get_by_text("every sentence of the sample has an answer").wait_for()
    page.goto(f"{live.url}/dashboard")
    page.locator("#recall-estimate", has_text="75 %").wait_for()
    page.get_by_text("2 were drawn at random and judged; 1 of these states a risk").wait_for()


PAGES = (
    "/",
    "/queue",
    "/dashboard",
    "/keys",
    "/webhooks",
    "/sessions",
    "/settings",
    "/models",
    "/users",
    "/teams",
    "/blocks",
    "/audit",
)


def test_every_page_is_accessible_light_and_dark_wide_and_narrow(live, new_page, reviewer):
    page = new_page()
    for path in ("/register", "/login"):
        page.goto(live.url + path)
        assert_accessible_in_every_view(page, path.strip("/"))
    log_in(page, live.url, reviewer)
    upload(page, "notes.txt", "\n\n".join(RISKS).encode())
    page.locator("mark.is-selected").wait_for()
    assert_accessible_in_every_view(page, "review")
    for key, name in (("?", "help"), ("r", "relabel")):
        page.keyboard.press(key)
        assert_accessible_in_every_view(page, name)
        page.keyboard.press("Escape")
    page.get_by_role("button", name="History").click()
    assert_accessible_in_every_view(page, "history")
    for path in PAGES:
        page.goto(live.url + path)
        page.wait_for_load_state("networkidle")
        assert_accessible_in_every_view(page, path.strip("/") or "documents")
