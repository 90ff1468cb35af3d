"""The page of blocked networks, in Chromium."""

from contextlib import closing
from datetime import datetime, timedelta

import pytest

from service.domain.audit import Actor
from service.domain.blocks import NewBlock
from tests.support.calls import caller
from tests.web.actions import assert_accessible_in_every_view, log_in, open_tab, sign_up
from tests.web.conftest import PASSWORD

ADMIN = "admin@corp.local"


@pytest.fixture
def own(start_service):
    """A service without blocks of other tests, behind a proxy that names the clients."""
    live = start_service(TRUSTED_PROXY="127.0.0.1")
    live.services.accounts.register(ADMIN, PASSWORD, role="admin")
    return live


@pytest.fixture
def page(own, new_page):
    """The page, opened by an administrator from the top bar."""
    page = new_page()
    log_in(page, own.url, ADMIN)
    open_tab(page, "Blocks")
    page.get_by_role("heading", name="Blocked networks").wait_for()
    return page


def fill(page, network, reason="Scrapes the API.", until=""):
    page.get_by_label("Address or network").fill(network)
    page.get_by_label("Reason").fill(reason)
    page.get_by_label("Until").fill(until)
    page.get_by_role("button", name="Block", exact=True).click()


def status_from(live, address):
    with closing(caller(live.url)) as client:
        return client.get("/login", headers={"X-Forwarded-For": address}).status_code


def test_administrator_blocks_a_network_and_removes_the_block(own, page):
    page.get_by_text("No network is blocked.").wait_for()
    fill(page, "192.0.2.0/24")
    row = page.get_by_role("row", name="192.0.2.0/24")
    row.get_by_text("Scrapes the API.").wait_for()
    row.get_by_text("by you").wait_for()
    assert [status_from(own, a) for a in ("192.0.2.9", "192.0.3.9")] == [403, 200]
    page.on("dialog", lambda dialog: dialog.accept())
    row.get_by_role("button", name="Remove").click()
    page.get_by_text("No network is blocked.").wait_for()
    assert status_from(own, "192.0.2.9") == 200


def test_block_until_a_time_shows_when_it_ends(page):
    tomorrow = datetime.now() + timedelta(days=1)  # noqa: DTZ005 - the form takes local time
    fill(page, "2001:db8::/32", until=tomorrow.strftime("%Y-%m-%dT%H:%M"))
    ends = page.get_by_role("row", name="2001:db8::/32").locator("time").last
    shown = datetime.fromisoformat(ends.get_attribute("datetime"))
    assert abs(shown - tomorrow.astimezone()) < timedelta(minutes=1)
    assert_accessible_in_every_view(page, "blocks-list")


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("192.0.2.7/24", "has host bits set"),
        ("127.0.0.1", "from which you or this machine call"),
    ],
)
def test_refused_block_says_what_is_wrong(page, network, message):
    fill(page, network)
    page.get_by_role("alert").get_by_text(message).wait_for()
    assert page.get_by_label("Address or network").input_value() == network
    page.get_by_text("No network is blocked.").wait_for()
    assert_accessible_in_every_view(page, "blocks-refused")


def test_list_loads_more_blocks_than_one_page_has(own, page):
    for n in range(51):
        own.services.blocks.add(NewBlock(f"198.51.100.{n}", "Guesses passwords."), actor=Actor())
    page.reload()
    page.get_by_role("row", name="198.51.100.50/32").get_by_text("by an operator").wait_for()
    page.get_by_role("button", name="Show more").click()
    page.get_by_role("row", name="198.51.100.0/32").wait_for()


def test_page_is_for_administrators(live, new_page):
    page = new_page()
    sign_up(page, live.url)
    assert page.get_by_role("link", name="Blocks").count() == 0
    assert page.goto(f"{live.url}/blocks").status == 403
