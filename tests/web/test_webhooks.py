"""The page of webhooks, in Chromium."""

from contextlib import closing

import pytest

from tests.fakes.loopback import Reply
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.web.actions import assert_accessible_in_every_view, sign_up


@pytest.fixture
def receiver():
    with closing(WebhookReceiver()) as server:
        yield server


@pytest.fixture
def page(start_service, new_page):
    live = start_service(WEBHOOK_NETWORKS="127.0.0.0/8")
    page = new_page()
    sign_up(page, live.url)
    page.goto(f"{live.url}/webhooks")
    page.get_by_text("No webhooks yet.").wait_for()
    return page


def create(page, url):
    page.get_by_label("What receives the events?").fill("tickets")
    page.get_by_label("Its address").fill(url)
    page.get_by_role("button", name="Create webhook").click()


def test_user_creates_tests_and_repairs_a_webhook(page, receiver):
    receiver.replies.append(Reply(410))
    create(page, receiver.hook)
    secret = page.locator("#shown-secret code").inner_text()
    page.get_by_role("button", name="Test: tickets").click()
    deliveries = page.locator("#deliveries")
    refresh = page.get_by_role("button", name="Refresh")
    while not deliveries.get_by_text("failed after 1 attempt: the receiver answered 410").count():
        refresh.click()
        page.wait_for_timeout(100)
    page.reload()
    page.get_by_role("button", name="Enable: tickets").click()
    page.get_by_role("button", name="Disable: tickets").wait_for()
    page.get_by_role("button", name="Deliveries: tickets").click()
    deliveries.get_by_role("button", name="Send again").click()
    while not deliveries.get_by_text("delivered, 1 attempt").count():
        refresh.click()
        page.wait_for_timeout(100)
    assert_accessible_in_every_view(page, "webhooks")
    assert [event["type"] for _, event in receiver.events(secret)] == ["webhook.test"] * 2


def test_refused_address_says_what_is_wrong(page):
    create(page, "https://10.0.0.1/hook")
    page.get_by_role("alert").get_by_text("WEBHOOK_NETWORKS does not list").wait_for()
    assert page.get_by_label("Its address").input_value() == "https://10.0.0.1/hook"
