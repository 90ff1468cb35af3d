"""Sending the events of webhooks: every attempt counts, whatever fails in it."""

import logging
import threading

import pytest
from sqlalchemy import select

from db.tables import WebhookDelivery
from service.domain.webhooks.addresses import Destinations
from service.domain.webhooks.connection import post
from service.domain.webhooks.sender import WebhookSender
from service.domain.webhooks.signing import WebhookSecrets


@pytest.fixture
def make_sender(transactions):
    """Return a sender over `post`, which stands for the network."""

    def make(post):
        return WebhookSender(
            transactions, WebhookSecrets("k" * 32), Destinations((), ()), post=post
        )

    return make


@pytest.fixture
def attempts(transactions):
    """Return number of attempts and last error of each delivery, oldest first."""
    columns = (WebhookDelivery.n_attempts, WebhookDelivery.error)
    query = select(*columns).order_by(WebhookDelivery.created_at)
    return lambda: [tuple(row) for row in transactions.read(lambda s: s.execute(query).all())]


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
def test_delivery_to_a_malformed_host_counts_its_attempt(
    make_sender, queue_events, attempts, user, host
):
    queue_events(user, f"https://{host}/")
    assert make_sender(post).send_due() == 1
    assert attempts() == [(1, "the name cannot be resolved")]


def test_delivery_that_raises_counts_its_attempt_and_others_are_sent(
    make_sender, queue_events, attempts, add_user, caplog
):
    caplog.set_level(logging.ERROR)
    outcomes = [LookupError("secret words"), 200]

    def post(*_args, **_options):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    for user in (add_user(), add_user()):
        queue_events(user)
    assert make_sender(post).send_due() == 2
    assert attempts() == [(1, "the service could not send it (LookupError)"), (1, None)]
    assert "LookupError" in caplog.text
    assert "secret" not in caplog.text


def test_sender_that_is_stopping_begins_no_other_delivery(make_sender, queue_events, user):
    stopping = threading.Event()

    def post(*_args, **_options):
        stopping.set()
        return 200

    queue_events(user, n_events=3)
    sender = make_sender(post)
    assert sender.send_due(is_stopping=stopping.is_set) == 1
    assert sender.send_due() == 2


def test_users_take_turns_whatever_others_have_waiting(make_sender, queue_events, add_user):
    sent = []

    def post(url, *_args, **_options):
        sent.append(url)
        return 200

    for name, n_events in (("a", 3), ("b", 2), ("c", 1)):
        queue_events(add_user(), name, n_events=n_events)
    assert make_sender(post).send_due() == 6
    assert "".join(sent) == "abcaba"
