"""Sending the events of webhooks: every attempt counts, whatever fails in it."""

import logging
from datetime import UTC, datetime

import pytest
import uuid_utils.compat
from sqlalchemy import select

from db.tables import Webhook, WebhookDelivery
from service.domain.webhooks import webhooks
from service.domain.webhooks.addresses import Destinations
from service.domain.webhooks.connection import post
from service.domain.webhooks.sender import WebhookSender
from service.domain.webhooks.signing import WebhookSecrets

URL = "https://example.com/hook"


@pytest.fixture
def make_sender(transactions):
    """Return a sender over `post`, which stands for the network."""

    def make(post):
        return WebhookSender(
            transactions, WebhookSecrets("k" * 32), Destinations((), ()), post=post
        )

    return make


@pytest.fixture
def queue(transactions):
    """Queue events of a user for a webhook of this address, which nobody has checked."""

    def work(session, user_id, url, n_events):
        values = {"name": "tickets", "url": url, "is_enabled": True, "secret_number": 1}
        own = {"id": uuid_utils.compat.uuid7(), "user_id": user_id, "created_at": datetime.now(UTC)}
        session.add(Webhook(**own, **values))
        for _ in range(n_events):
            webhooks.emit(session, user_id=user_id, event="batch.finished", data={})

    return lambda user, url=URL, *, n_events=1: transactions.run(work, user.id, url, n_events)


@pytest.fixture
def attempts(transactions):
    """Return number of attempts and last error of each delivery, oldest first."""
    columns = (WebhookDelivery.n_attempts, WebhookDelivery.error)
    query = select(*columns).order_by(WebhookDelivery.created_at)
    return lambda: [tuple(row) for row in transactions.read(lambda s: s.execute(query).all())]


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
def test_delivery_to_a_malformed_host_counts_its_attempt(make_sender, queue, attempts, user, host):
    queue(user, f"https://{host}/")
    assert make_sender(post).send_due() == 1
    assert attempts() == [(1, "the name cannot be resolved")]


def test_delivery_that_raises_counts_its_attempt_and_others_are_sent(
    make_sender, queue, attempts, add_user, caplog
):
    caplog.set_level(logging.ERROR)
    outcomes = [LookupError("secret words"), 200]

    def post(*_args, **_options):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    for user in (add_user(), add_user()):
        queue(user)
    assert make_sender(post).send_due() == 2
    assert attempts() == [(1, "the service could not send it (LookupError)"), (1, None)]
    assert "LookupError" in caplog.text
    assert "secret" not in caplog.text


def test_users_take_turns_whatever_others_have_waiting(make_sender, queue, add_user):
    sent = []

    def post(url, *_args, **_options):
        sent.append(url)
        return 200

    for name, n_events in (("a", 3), ("b", 2), ("c", 1)):
        queue(add_user(), name, n_events=n_events)
    assert make_sender(post).send_due() == 6
    assert "".join(sent) == "abcaba"
