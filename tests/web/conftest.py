"""A live service, and a browser on its pages where Chromium is installed."""

import os
import secrets
import shutil

import pytest

from tests.api.conftest import (  # noqa: F401 - fixtures
    analyzers,
    client,
    light_passwords,
    live,
    new_user,
    start_service,
    user,
)
from tests.support.calls import caller
from tests.support.waiting import PATIENCE_S

OWN_FORM = {"Sec-Fetch-Site": "same-origin"}
PASSWORD = "correct horse"


@pytest.fixture(scope="session")
def backend():
    """The pages do not touch the database, so one kind is enough."""
    return "sqlite"


class Visitor:
    """A browser without scripts: it keeps cookies and sends forms."""

    def __init__(self, url):
        self.http = caller(url)
        self.email = f"{secrets.token_hex(8)}@corp.local"

    def send(self, path, headers=OWN_FORM, **fields):
        return self.http.post(path, data=fields, headers=headers)

    def register(self):
        assert self.send("/register", email=self.email, password=PASSWORD).status_code == 303
        return self

    def csrf_token(self):
        page = self.http.get("/", headers={"Accept": "text/html"}).text
        return page.split('name="csrf-token" content="')[1].split('"')[0]


@pytest.fixture
def new_visitor(live):  # noqa: F811
    """Make visitors without an account; their connections close with the test."""
    visitors = []

    def make(url=None):
        visitors.append(Visitor(url or live.url))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.http.close()


@pytest.fixture
def visitor(new_visitor):
    """A visitor who has just created an account."""
    return new_visitor().register()


@pytest.fixture(scope="session")
def browser():
    """Chromium; skips the test if it is missing, or fails if RISKSCAN_TEST_REQUIRE names it."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        message = "Chromium is not installed: apt-get install chromium"
        if "chromium" in os.environ.get("RISKSCAN_TEST_REQUIRE", "").split(","):
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import expect, sync_playwright  # noqa: PLC0415 - starts slowly

    expect.set_options(timeout=PATIENCE_S * 1000)  # it does not use the timeout of a page
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def new_page(browser):
    """Open pages in windows of their own; a script's error fails the test."""
    contexts, errors = [], []

    def make(**options):
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_timeout(PATIENCE_S * 1000)
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(error.message))
        return page

    yield make
    for context in contexts:
        context.close()
    assert not errors


@pytest.fixture
def reviewer(live):  # noqa: F811
    """Address of a reviewer's account."""
    email = f"{secrets.token_hex(8)}@corp.local"
    live.services.accounts.register(email, PASSWORD, role="admin")
    return email
