"""Opening the scan of a long PDF in Chromium: from the navigation to its text and list, and scrolling.

The PDF has 500 pages of prose, each with three sentences that state a risk.
"""

import contextlib
import secrets
import shutil
import statistics

import pytest

from tests.bench.plots import bars
from tests.bench.results import Result, Target, spread
from tests.bench.servers import riskscan, running
from tests.nlp.prose import HARMLESS
from tests.support.documents import pdf_of_pages

N_PAGES = 500
_PATIENCE_MS = 240_000
_PARAGRAPHS, _RISKS = 9, 3
_RISK = "The supplier of part {} went bankrupt before the milestone."
_OPEN = """() => document.querySelector("#review[data-ready=true]")
  && document.querySelectorAll("#findings button").length > 0
  && document.querySelector("#text mark.is-selected") && performance.now()"""
_SCROLL = """async () => {
  const pane = document.getElementById("text");
  const frames = [];
  let before = performance.now();
  for (let k = 0; k < 120; k += 1) {
    pane.scrollBy(0, 400);
    await new Promise(requestAnimationFrame);
    frames.push(performance.now() - before);
    before = performance.now();
  }
  return frames;
}"""


def run(options):
    """Scan a PDF once, then open its page in a new window as often as the options say."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - starts slowly

    n_pages = options.size(N_PAGES)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(riskscan(options, options.out / "page")))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        stack.callback(browser.close)
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        context.set_default_timeout(_PATIENCE_MS)
        address = _scanned(context.new_page(), server.url, long_pdf(n_pages))
        opened_ms, frames_ms = [], []
        for _ in range(1 + options.rounds):
            page = context.new_page()
            page.goto(address)
            opened_ms.append(page.wait_for_function(_OPEN).json_value())
            frames_ms += page.evaluate(_SCROLL)
            page.close()
    return _result(n_pages, opened_ms[0], opened_ms[1:], frames_ms)


def long_pdf(n_pages):
    """Return a PDF of about 2,000 characters a page."""
    pages = []
    for n in range(1, n_pages + 1):
        paragraphs = [
            f"Section {n}.{k}. " + " ".join(HARMLESS[(n + k + i) % len(HARMLESS)] for i in range(4))
            for k in range(_PARAGRAPHS)
        ]
        for k in range(_RISKS):
            paragraphs[2 + 3 * k] += " " + _RISK.format(_RISKS * n + k)
        pages.append(paragraphs)
    return pdf_of_pages(pages)


def _scanned(page, url, pdf):
    """Create an account, scan the PDF through the page and return the address of the review."""
    page.goto(f"{url}/register")
    page.get_by_label("E-mail address").fill(f"{secrets.token_hex(6)}@corp.local")
    page.get_by_label("Password").fill(secrets.token_hex(16))
    page.get_by_role("button", name="Create account").click()
    file = {"name": "long.pdf", "mimeType": "application/pdf", "buffer": pdf}
    page.locator("#file").set_input_files(file)
    link = page.locator("#uploads").get_by_role("link", name="Review")
    link.wait_for()
    address = url + link.get_attribute("href")
    page.close()
    return address


def _result(n_pages, first_ms, opened_ms, frames_ms):
    slow_ms = statistics.quantiles(frames_ms, n=20)[-1]
    return Result(
        name="page",
        title=f"The page of a scanned PDF of {n_pages} pages in Chromium",
        head=("what", "ms"),
        rows=[
            ("navigation to text and list, first visit", f"{first_ms:.0f}"),
            ("navigation to text and list, again", spread(opened_ms, 0)),
            ("frame while scrolling, median", f"{statistics.median(frames_ms):.1f}"),
            ("frame while scrolling, 95th percentile", f"{slow_ms:.1f}"),
        ],
        figures={"first_ms": first_ms, "opened_ms": opened_ms, "frames_ms": frames_ms},
        panels=[bars({"first": [first_ms], "again": opened_ms}, "ms to text and list")],
        targets=[
            Target("open, s,", statistics.median([first_ms, *opened_ms]) / 1000, 2.0, is_limit=True)
        ],
    )
