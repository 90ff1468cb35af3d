"""The page of batches in Chromium: documents dropped, progress watched, failures read, batches cancelled."""

import re

import pytest
from playwright.sync_api import expect

from tests.support import documents
from tests.support.office_files import zipped
from tests.web.actions import HARMLESS, RISKS, assert_accessible_in_every_view, hold, sign_up


@pytest.fixture
def page(live, new_page):
    page = new_page(viewport={"width": 1280, "height": 800})
    sign_up(page, live.url)
    page.goto(f"{live.url}/batches")
    page.get_by_text("No batches yet.").wait_for()
    return page


def choose(page, field, *files):
    buffers = [{"name": n, "mimeType": "", "buffer": data} for n, data in files]
    page.locator(f"#{field}").set_input_files(buffers)


def progress(page):
    return page.locator("#progress-text")


def drop(page, name, data):
    """Drop a file on the page, as a person does."""
    page.evaluate(
        """([name, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name));
            const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
            document.body.dispatchEvent(new DragEvent("drop", options));
        }""",
        [name, list(data)],
    )


def test_documents_are_sent_watched_and_opened(page):
    texts = [(f"{n}.txt", f"{RISKS[n % 3]} {HARMLESS} {n}".encode()) for n in range(5)]
    choose(page, "file", *texts, ("broken.pdf", b"%PDF-1.7 nothing"))
    progress(page).get_by_text("6 of 6 documents, 1 failed, finished").wait_for()
    page.locator("#items tr[data-state=done]").nth(
        4
    ).wait_for()  # the counts of the batch come first
    assert page.locator("#items tr[data-state=done]").count() == 5
    assert_accessible_in_every_view(page, "batch")
    page.locator("#state").select_option("failed")
    row = page.locator("#items tbody tr")
    page.locator("#items tr[data-state=done]").first.wait_for(state="detached")
    row.get_by_text("The PDF").or_(row.locator(".bad")).first.wait_for()
    assert page.locator("#items tbody tr").count() == 1
    failed = row.element_handle()
    page.get_by_role("button", name="Scan failed ones again").click()
    page.wait_for_function("row => !row.isConnected", arg=failed)
    progress(page).get_by_text("6 of 6 documents, 1 failed, finished").wait_for()
    page.locator("#state").select_option("done")
    page.get_by_role("link", name="Review 0.txt").click()
    page.locator("#review[data-ready=true]").wait_for()


def test_dropped_archive_becomes_a_batch_that_is_deleted_again(page):
    drop(page, "papers.zip", zipped([("a/1.txt", RISKS[0]), ("2.txt", RISKS[1])]))
    progress(page).get_by_text("2 of 2 documents, finished").wait_for()
    expect(page.locator("#items td.title")).to_have_text(["a/1.txt", "2.txt"])
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("No batches yet.").wait_for()


def test_refused_archive_says_why(page):
    choose(page, "archive", ("papers.zip", zipped([("../escape.txt", b"x")])))
    page.get_by_role("alert").get_by_text("leads out of the archive's folder").wait_for()


@pytest.fixture
def idle_page(start_service, new_page):
    service = start_service(BATCH_WORKERS="0")
    page = new_page()
    sign_up(page, service.url)
    page.goto(f"{service.url}/batches")
    page.get_by_text("No batches yet.").wait_for()
    return page


def test_waiting_batch_is_cancelled(idle_page):
    choose(
        idle_page, "file", ("a.txt", b"The vendor may fail."), ("b.txt", b"The budget is tight.")
    )
    progress(idle_page).get_by_text("0 of 2 documents, waiting").wait_for()
    idle_page.on("dialog", lambda dialog: dialog.accept())
    idle_page.get_by_role("button", name="Cancel").click()
    progress(idle_page).get_by_text("2 of 2 documents, 2 cancelled, cancelled").wait_for()


def test_document_that_was_not_read_whole_is_marked_and_its_review_says_what(live, page):
    half_read = documents.pdf_of_pages([[RISKS[0]], []])
    choose(page, "file", ("whole.txt", RISKS[1].encode()), ("half.pdf", half_read))
    progress(page).get_by_text("2 of 2 documents, finished").wait_for()
    page.locator("#state").select_option("unread")
    page.locator("#items td.title", has_text="whole.txt").wait_for(state="detached")
    mark = page.locator("#items .badge")
    assert mark.get_attribute("title").startswith("No text on page 2")
    page.get_by_role("link", name="Review half.pdf").click()
    box = page.locator("#warnings")
    box.get_by_text("No text on page 2").wait_for()
    page.locator("#review[data-ready=true]").wait_for()
    assert_accessible_in_every_view(page, "review-half-read")
    page.goto(live.url)
    page.locator("#scans tr", has_text="half.pdf").get_by_text("Not all read").wait_for()
    assert page.locator("#scans tr", has_text="whole.txt").get_by_text("Not all read").count() == 0
    choose(page, "file", ("again.pdf", half_read))
    mark = page.locator("#uploads li", has_text="again.pdf").get_by_text("Not all read")
    assert "No text on page 2" in mark.get_attribute("title")


def test_late_answer_about_all_batches_does_not_hide_a_newer_one(idle_page):
    every = "**/api/v1/batches?*"
    held = hold(idle_page, every)
    with idle_page.expect_request(every):
        idle_page.reload()
    with idle_page.expect_request(every):
        choose(idle_page, "file", ("a.txt", b"The vendor may fail."))
    idle_page.locator("#uploads li").wait_for(state="detached")
    early, late = held
    late.continue_()
    idle_page.locator("#items td.title", has_text="a.txt").wait_for()
    with idle_page.expect_response(every):
        early.fulfill(json={"items": [], "next_cursor": None})  # as it was then
    idle_page.wait_for_load_state("networkidle")
    assert idle_page.locator("#batches button").count() == 1


@pytest.fixture
def two_batches(idle_page):
    """The page with two waiting batches, of which the newer one is chosen; and their ids, newest first."""
    ids = []
    idle_page.get_by_text("Options").click()
    for name in ("older", "newer"):
        idle_page.locator("#name").fill(name)
        choose(idle_page, "file", (f"{name}.txt", b"The vendor may fail."))
        idle_page.locator("#items td.title", has_text=f"{name}.txt").wait_for()
        ids.insert(0, idle_page.url.split("batch=")[1])
    return idle_page, *ids


def choose_batch(page, name):
    page.locator("#batches button", has_text=name).click()
    page.get_by_role("heading", name=name).wait_for()


@pytest.mark.parametrize("part", ["", "/items"])
def test_late_answer_about_another_batch_does_not_replace_the_chosen_one(two_batches, part):
    page, newer, older = two_batches
    held, late = [], re.compile(f"/batches/{newer}{part}(\\?|$)")
    page.route(late, lambda route: held.insert(0, route))  # Playwright takes no built-in method
    with page.expect_request(late):
        page.locator("#batches button", has_text="newer").click()
    choose_batch(page, "older")
    page.locator("#items td.title", has_text="older.txt").wait_for()
    with page.expect_response(late):
        for route in held:
            route.continue_()
    with page.expect_request(re.compile("/batches/[0-9a-f-]{36}$")) as poll:
        pass
    assert poll.value.url.endswith(older)
    assert page.locator("#batch-name").text_content() == "older"
    assert page.locator("#items td.title").all_text_contents() == ["older.txt"]


def test_refresh_of_the_table_keeps_the_focus(page):
    choose(page, "file", ("a.txt", RISKS[0].encode()), ("b.txt", RISKS[1].encode()))
    progress(page).get_by_text("2 of 2 documents, finished").wait_for()
    link = page.get_by_role("link", name="Review b.txt")
    link.focus()
    old = link.element_handle()
    page.locator("#state").dispatch_event("change")
    page.wait_for_function("link => !link.isConnected", arg=old)
    assert link.evaluate("link => link === document.activeElement")
