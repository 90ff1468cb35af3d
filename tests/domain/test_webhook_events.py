"""Queueing events for webhooks on each database, beside other transactions."""

import threading

import pytest

from db.queries import webhooks as queries
from service.config.settings import load
from service.domain.transactions import Transactions, open_database
from service.domain.webhooks import webhooks
from service.domain.webhooks.addresses import Destinations
from service.domain.webhooks.signing import WebhookSecrets
from service.domain.webhooks.webhooks import WebhookFields, Webhooks
from service.errors import NotFound
from tests.support.databases import BACKENDS

LOCKED_FOR_S = 0.5


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture
def transactions(own_database_url):
    opened = Transactions(open_database(load({"DATABASE_URL": own_database_url}), pool_size=3))
    yield opened
    opened.close()


@pytest.fixture
def hooks(transactions, user):
    """Two webhooks of `user`."""
    made = Webhooks(transactions, WebhookSecrets("k" * 32), Destinations((), ()), max_webhooks=2)
    fields = [WebhookFields(name, "https://example.com/") for name in "ab"]
    return [made.create(user.id, one).webhook for one in fields]


@pytest.fixture
def deleting_first(transactions, user, hooks):
    """Delete the first webhook, in a transaction that others may have to wait for."""
    deleted = threading.Event()

    def delete(session):
        queries.delete_webhook(session, hooks[0].id, user.id)
        deleted.set()
        threading.Event().wait(LOCKED_FOR_S)

    deletion = threading.Thread(target=transactions.run, args=(delete,))
    deletion.start()
    deleted.wait()
    yield
    deletion.join()


@pytest.mark.usefixtures("deleting_first")
def test_event_beside_the_deletion_of_a_webhook_is_queued_for_the_others(transactions, user, hooks):
    transactions.run(webhooks.emit, user_id=user.id, event="batch.finished", data={})
    queued = [transactions.read(queries.list_deliveries, one.id, limit=9) for one in hooks]
    assert [len(deliveries) for deliveries in queued] == [0, 1]


@pytest.mark.usefixtures("deleting_first")
def test_test_event_beside_the_deletion_of_its_webhook_is_not_found(transactions, user, hooks):
    with pytest.raises(NotFound):
        transactions.run(webhooks.send_test, user.id, hooks[0].id)
