"""What people do on the pages in Chromium, for tests. Screenshots are in var/screenshots."""

import secrets
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe

from tests.web.conftest import PASSWORD

SHOTS = Path(__file__).resolve().parents[2] / "var" / "screenshots"
VIEWS = (("light", 1280), ("dark", 360))
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
HARMLESS = "The canteen serves lunch from noon until two in room 14."
RISKS = (
    "The supplier went bankrupt before the milestone.",
    "Only one engineer understands the billing system.",
    "The budget is already overspent by 40 percent.",
)


def shoot(page, name):
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")


def assert_accessible(page):
    violations = Axe().run(page, options=WCAG).response["violations"]
    found = [(v["id"], [node["html"] for node in v["nodes"]]) for v in violations]
    assert not found, found  # pytest explains no assertion of this file


def assert_accessible_in_every_view(page, name):
    for scheme, width in VIEWS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        shoot(page, f"{name}-{scheme}-{width}")
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def sign_up(page, url):
    """Register through the form; return the address of the account."""
    email = f"{secrets.token_hex(8)}@corp.local"
    page.goto(f"{url}/")
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    wait_for_documents(page)
    return email


def wait_for_documents(page):
    """Wait for the first page, until its script listens."""
    page.get_by_role("heading", name="Scan a document").wait_for()
    page.wait_for_load_state()


def open_tab(page, title):
    """Follow an entry of the top bar, which may be in its closed menu, until its page's script listens."""
    bar = page.locator("nav[aria-label=Main]")
    link = bar.get_by_role("link", name=title, exact=True, include_hidden=True)
    with page.expect_navigation():
        link.evaluate("a => a.click()")


def upload(page, name, data):
    page.locator("#file").set_input_files({"name": name, "mimeType": "", "buffer": data})
    page.locator("#uploads").get_by_role("link", name="Review").click()
    page.locator("#review[data-ready=true]").wait_for()


def log_in(page, url, email):
    page.goto(f"{url}/login")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    wait_for_documents(page)


def hold(page, pattern):
    """Hold the requests to matching addresses; return the list of their routes, for the test to send on."""
    held = []

    def keep(route):  # page.route takes no built-in method
        held.append(route)

    page.route(pattern, keep)
    return held
