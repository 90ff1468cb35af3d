"""Users send events to their own servers: signed, tried again, logged, and to allowed addresses only."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import update
from standardwebhooks import WebhookVerificationError

from db.tables import WebhookDelivery
from service.domain.webhooks import sender as webhook_sender
from service.domain.webhooks import webhooks
from tests.fakes.loopback import Reply
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.support.waiting import wait_until

WEBHOOKS = "/api/v1/webhooks"
DATA = {"batch_id": "0192", "n_failed": 0}


@pytest.fixture(scope="module")
def live(database_url, start_service):
    return start_service(
        DATABASE_URL=database_url, WEBHOOK_NETWORKS="127.0.0.0/8", MAX_WEBHOOKS="3"
    )


@pytest.fixture
def receiver():
    with closing(WebhookReceiver()) as server:
        yield server


@pytest.fixture
def add(user):
    def add(url, **fields):
        return user.http.post(WEBHOOKS, json={"name": "tickets", "url": url, **fields})

    return add


@pytest.fixture
def hook(add, receiver):
    return add(receiver.hook).raise_for_status().json()


@pytest.fixture
def emit(live, user):
    def emit(**data):
        run = live.services.transactions.run
        run(webhooks.emit, user_id=UUID(user.id), event="batch.finished", data=data or DATA)

    return emit


@pytest.fixture
def due_now(live, monkeypatch):
    """Make the waiting deliveries due, as if the wait after a failure were over; it never is by itself."""
    monkeypatch.setattr(webhook_sender, "RETRY_AFTER_S", [86_400] * 9)

    def due_now(session):
        past = datetime.now(UTC) - timedelta(seconds=1)
        session.execute(update(WebhookDelivery).values(next_attempt_at=past))

    return lambda: live.services.transactions.run(due_now)


def deliveries(user, hook):
    path = f"{WEBHOOKS}/{hook['id']}/deliveries"
    return user.http.get(path).raise_for_status().json()["items"]


def wait_for(user, hook, *states):
    """Wait for deliveries in these states, newest first, and return them."""
    found = lambda: [one["state"] for one in deliveries(user, hook)]  # noqa: E731
    wait_until(lambda: found() == [*states], lambda: deliveries(user, hook))
    return deliveries(user, hook)


@pytest.mark.system
@pytest.mark.every_database
def test_event_arrives_signed_and_is_logged(user, hook, receiver, emit):
    emit()
    [delivery] = wait_for(user, hook, "delivered")
    [(message_id, event)] = receiver.events(hook["secret"])
    assert message_id == f"msg_{UUID(delivery['id']).hex}"
    assert (event["type"], event["data"]) == ("batch.finished", DATA)
    assert (delivery["status"], delivery["n_attempts"], delivery["error"]) == (200, 1, None)
    assert delivery["payload"] == receiver.requests[0][1]
    assert "secret" not in user.http.get(f"{WEBHOOKS}/{hook['id']}").json()


@pytest.mark.system
@pytest.mark.every_database
def test_failed_event_is_tried_again_under_the_same_id(user, hook, receiver, emit, due_now):
    receiver.replies += [Reply(500), Reply(302, headers={"Location": receiver.hook})]
    emit()
    for n_attempts, status in enumerate((500, 302, 200), 1):
        wait_until(lambda n=n_attempts: deliveries(user, hook)[0]["n_attempts"] == n)
        assert deliveries(user, hook)[0]["status"] == status
        due_now()
    [delivery] = wait_for(user, hook, "delivered")
    ids = [message_id for message_id, _ in receiver.events(hook["secret"])]
    assert ids == [f"msg_{UUID(delivery['id']).hex}"] * 3


@pytest.mark.system
def test_delivery_fails_after_the_last_attempt_and_can_be_sent_again(
    user, hook, receiver, emit, due_now
):
    receiver.replies += [Reply(503)] * 10
    emit()
    for n in range(1, 11):
        wait_until(lambda n=n: deliveries(user, hook)[0]["n_attempts"] == n)
        due_now()
    [delivery] = wait_for(user, hook, "failed")
    assert delivery["error"] == "the receiver answered 503"
    again = f"{WEBHOOKS}/{hook['id']}/deliveries/{delivery['id']}/redelivery"
    assert user.http.post(again).status_code == 202
    [delivery] = wait_for(user, hook, "delivered")
    assert len({message_id for message_id, _ in receiver.events(hook["secret"])}) == 1
    assert delivery["n_attempts"] == 1


def test_after_a_rotation_both_secrets_sign(user, hook, receiver, emit):
    new = user.http.post(f"{WEBHOOKS}/{hook['id']}/rotation").json()
    emit()
    wait_for(user, hook, "delivered")
    assert new["secret"] != hook["secret"]
    assert receiver.events(new["secret"]) == receiver.events(hook["secret"])
    with pytest.raises(WebhookVerificationError):
        receiver.events("whsec_" + "A" * 44)


def test_receiver_that_is_gone_disables_the_webhook(user, hook, receiver, emit):
    receiver.replies.append(Reply(410))
    emit()
    wait_for(user, hook, "failed")
    assert not user.http.get(f"{WEBHOOKS}/{hook['id']}").json()["is_enabled"]
    emit()
    assert len(deliveries(user, hook)) == 1
    assert user.http.post(f"{WEBHOOKS}/{hook['id']}/test").status_code == 409


def test_test_event_and_change_of_address(user, hook, receiver):
    changed = {"name": "new", "url": f"{receiver.url}/elsewhere"}
    user.http.put(f"{WEBHOOKS}/{hook['id']}", json=changed).raise_for_status()
    sent = user.http.post(f"{WEBHOOKS}/{hook['id']}/test")
    assert (sent.status_code, sent.json()["event"]) == (202, "webhook.test")
    wait_until(lambda: deliveries(user, hook)[0]["status"] == 404)
    assert user.http.delete(f"{WEBHOOKS}/{hook['id']}").status_code == 204
    assert user.http.get(f"{WEBHOOKS}/{hook['id']}").status_code == 404


@pytest.mark.system
def test_receiver_that_does_not_answer_holds_up_no_other_user(
    live, make_user, user, hook, receiver
):
    other = make_user(live)
    receiver.gate.clear()
    for _ in range(3):
        user.http.post(f"{WEBHOOKS}/{hook['id']}/test").raise_for_status()
    wait_until(lambda: receiver.requests)
    with closing(WebhookReceiver()) as quick:
        body = {"name": "quick", "url": quick.hook}
        own = other.http.post(WEBHOOKS, json=body).raise_for_status().json()
        other.http.post(f"{WEBHOOKS}/{own['id']}/test").raise_for_status()
        wait_for(other, own, "delivered")
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://192.168.1.1/hook",
        "http://169.254.169.254/latest",
        "http://93.184.215.14/hook",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[64:ff9b:1::a00:1]/",
        "https://[::ffff:0:a00:1]/",
        "https://[fec0::1]/",
        "https://user:word@example.com/",
        "https://example.com:99999/",
        "https://a..b/",
        f"https://{64 * 'x'}.example/",
        "https://example.com/#part",
        "https://example.com/\u00e9",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://[::1",
        "hook",
    ],
)
def test_address_that_is_not_allowed_is_refused(add, url):
    refused = add(url)
    assert refused.status_code == 400
    [fault] = refused.json()["errors"]
    assert fault["field"] == "url"
    assert refused.json()["detail"] == f"The webhook was not stored. url: {fault['message']}"


def test_name_of_a_private_address_is_refused_when_it_is_sent(start_service, make_user, receiver):
    live = start_service(WEBHOOK_NETWORKS="10.0.0.0/8")
    user = make_user(live)
    url = receiver.hook.replace("127.0.0.1", "localhost")
    hook = user.http.post(WEBHOOKS, json={"name": "own", "url": url}).raise_for_status().json()
    user.http.post(f"{WEBHOOKS}/{hook['id']}/test").raise_for_status()
    wait_until(lambda: deliveries(user, hook)[0]["n_attempts"] == 1)
    assert "not public" in deliveries(user, hook)[0]["error"]
    assert receiver.requests == []


def test_without_networks_an_address_needs_tls_and_egress_hosts_counts(start_service, make_user):
    live = start_service(EGRESS_HOSTS="tickets.example.com")
    user = make_user(live)

    def add(url):
        return user.http.post(WEBHOOKS, json={"name": "tickets", "url": url}).status_code

    assert add("http://tickets.example.com/") == 400
    assert add("https://other.example.com/") == 400
    assert add("https://tickets.example.com/") == 201


def test_number_of_webhooks_is_limited(add):
    assert [add(f"https://example.com/{n}").status_code for n in range(4)] == [201] * 3 + [409]


def test_webhooks_are_their_owners_alone(hook, new_user):
    other = new_user().http
    path = f"{WEBHOOKS}/{hook['id']}"
    for method, where in (
        ("GET", path),
        ("DELETE", path),
        ("GET", f"{path}/deliveries"),
        ("POST", f"{path}/test"),
        ("POST", f"{path}/rotation"),
    ):
        assert other.request(method, where).status_code == 404
    assert other.get(WEBHOOKS).json()["items"] == []
