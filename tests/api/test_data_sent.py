"""The audit trail has each call that left the machine once, whatever becomes of its scan."""

import json
import secrets
import socket
from urllib.parse import urlsplit

import pytest

from tests.db.conftest import servers
from tests.fakes.chat_server import USAGE
from tests.fakes.loopback import Reply
from tests.support.calls import caller
from tests.support.relay import relay_before
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import wait_until

TRAIL, CALLS = "/api/v1/admin/audit-events", "/api/v1/admin/api-interactions"
FORCED = {"text": FLOW_TEXT, "force_llm": True}
SENTENCES = "\n\n".join(f"The vendor of part {n} may fail." for n in range(70))
SENT = {
    "kind": "llm",
    "host": "127.0.0.1",
    "model": "rules",
    "masked": False,
    "n_calls": 1,
    "n_sentences": 1,
    "prompt_tokens": USAGE["prompt_tokens"],
    "completion_tokens": USAGE["completion_tokens"],
}


@pytest.fixture(scope="module")
def llm_settings(llm):
    return {"LLM_BASE_URL": llm.base_url, "LLM_MODEL": "rules", "AI_SERVICE_OPEN": "true"}


@pytest.fixture(scope="module")
def live(database_url, start_service, llm_settings):
    """A service with an LLM, on the database under test."""
    return start_service(DATABASE_URL=database_url, **llm_settings)


@pytest.fixture(scope="module")
def relay(database_url):
    relay = relay_before(database_url)
    relay.open()
    yield relay
    relay.cut()


@pytest.fixture(scope="module")
def behind_relay(relay, start_service, llm_settings):
    """Another service on the same database, behind a relay."""
    started = start_service(DATABASE_URL=relay.url, **llm_settings)
    started.services.search_indexer.close()  # its commits would be lost in place of a request's
    return started


@pytest.fixture
def relayed(behind_relay, user):
    """The user, who calls the service behind the relay."""
    with caller(behind_relay.url, headers=dict(user.http.headers)) as http:
        yield http


class Trail:
    """What an administrator reads about one request, found by its id."""

    def __init__(self, admin, request_id):
        self.http, self.request_id = admin.http, request_id

    def scan(self, http, path="/api/v1/scan", **more):
        return http.post(path, json={**FORCED, **more}, headers={"X-Request-ID": self.request_id})

    def events(self):
        query = {"action": "data.sent", "request_id": self.request_id}
        return self.http.get(TRAIL, params=query).raise_for_status().json()["items"]

    def settled(self, n_calls=1):
        """Return the events, once there is one and the rows of all calls are stored too."""
        wait_until(lambda: self._n_calls() == n_calls and self.events(), self._n_calls)
        return self.events()

    def _n_calls(self):
        items = self.http.get(CALLS, params={"per_page": 200}).raise_for_status().json()["items"]
        return sum(item["request_id"] == self.request_id for item in items)


@pytest.fixture
def trail(admin):
    return Trail(admin, f"{secrets.token_hex(8)}-sent")


@pytest.mark.every_database
def test_stored_scan_has_its_event_as_soon_as_it_is_answered(user, trail):
    scan_id = trail.scan(user.http).json()["scan_id"]
    [sent] = trail.events()
    assert (sent["user_id"], sent["object_id"]) == (user.id, scan_id)
    assert sent["detail"].pop("sent_bytes") > 1_000
    assert sent["detail"] == SENT
    assert len(trail.settled()) == 1


def test_many_calls_of_a_scan_are_one_event(user, trail):
    trail.scan(user.http, text=SENTENCES)
    [sent] = trail.settled(3)
    shown = {name: sent["detail"][name] for name in ("n_calls", "n_sentences", "prompt_tokens")}
    assert shown == {"n_calls": 3, "n_sentences": 70, "prompt_tokens": 3 * USAGE["prompt_tokens"]}


@pytest.mark.every_database
def test_scan_that_fails_at_the_llm_has_its_event(user, llm, trail):
    llm.replies.append(Reply(500, b'{"error": {"message": "no"}}'))
    assert trail.scan(user.http).status_code == 502
    [sent] = trail.settled()
    assert (sent["user_id"], sent["detail"]["n_calls"]) == (user.id, 1)
    assert sent["detail"]["prompt_tokens"] is None


def test_scan_that_is_not_stored_has_its_event(user, trail):
    assert trail.scan(user.http, "/scan", text=SENTENCES).status_code == 200
    [sent] = trail.settled(3)
    assert (sent["user_id"], sent["object_id"]) == (user.id, None)
    assert (sent["detail"]["n_calls"], sent["detail"]["n_sentences"]) == (3, 70)


def test_client_that_hangs_up_leaves_one_event(live, user, llm, trail):
    n_before = len(llm.requests)
    llm.gate.clear()
    body = json.dumps(FORCED)
    head = (
        f"POST /api/v1/scan HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: {user.http.headers['Authorization']}\r\nX-Request-ID: {trail.request_id}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", urlsplit(live.url).port)) as connection:
        connection.sendall((head + body).encode())
        wait_until(lambda: len(llm.requests) > n_before)
    llm.gate.set()
    assert len(trail.settled()) == 1


@servers
def test_database_outage_during_the_scan_leaves_one_event(relayed, relay, llm, trail, monkeypatch):
    answer = llm.answer

    def cut_and_answer(request):
        relay.cut()
        return answer(request)

    monkeypatch.setattr(llm, "answer", cut_and_answer)
    assert trail.scan(relayed).status_code == 503
    relay.open()
    [sent] = trail.settled()
    assert sent["detail"]["n_calls"] == 1


@servers
@pytest.mark.parametrize("loss", ["lose_answers", "lose_commits", "delay_commits"])
def test_commit_that_is_lost_leaves_one_event(relayed, relay, trail, loss):
    n_before = relay.n_lost
    getattr(relay, loss)(2)  # that of the scan, and that of the call's row
    stored = trail.scan(relayed)
    wait_until(lambda: relay.n_lost == n_before + 2)
    assert stored.status_code == 201
    [sent] = trail.settled()
    assert sent["object_id"] == stored.json()["scan_id"]


@servers
@pytest.mark.parametrize("loss", ["lose_answers", "lose_commits"])
def test_commit_in_doubt_leaves_one_event(relayed, relay, trail, loss, monkeypatch):
    monkeypatch.setattr("db.database.LOOKUP_S", 0.2)
    relay.on_loss = relay.refuse
    getattr(relay, loss)(2)
    answer = trail.scan(relayed)
    relay.on_loss = lambda: None
    getattr(relay, loss)(0)
    relay.open()
    assert answer.status_code == 503
    assert len(trail.settled()) == 1
