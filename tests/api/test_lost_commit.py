"""The connection to the database breaks during COMMIT: the caller sees each change made once, or a 503."""

import pytest

from tests.api.conftest import User
from tests.db.conftest import servers
from tests.support.relay import relay_before
from tests.support.sentences import FLOW_TEXT

pytestmark = servers
LOSSES = pytest.mark.parametrize("loss", ["lose_answers", "lose_commits"])


@pytest.fixture(scope="module")
def relay(database_url):
    relay = relay_before(database_url)
    relay.open()
    yield relay
    relay.cut()


@pytest.fixture(scope="module")
def live(relay, start_service):
    """The service behind a relay."""
    started = start_service(DATABASE_URL=relay.url)
    started.services.search_indexer.close()  # its commits would be lost in place of a request's
    return started


@pytest.fixture
def lose(relay, loss):
    """Lose the next COMMIT, or its answer; call again before each request."""
    before = relay.n_lost
    yield lambda: getattr(relay, loss)(1)
    assert relay.n_lost > before
    getattr(relay, loss)(0)


@LOSSES
def test_account_is_created_and_logged_into_once(client, lose):
    lose()
    user = User(client)
    refresh_token = user.tokens["refresh_token"]
    for _ in range(2):
        lose()
        pair = client.post("/api/auth/refresh", json={"refresh_token": refresh_token})
        refresh_token = pair.raise_for_status().json()["refresh_token"]
    assert len(user.http.get("/api/auth/logins").json()["items"]) == 1
    lose()
    assert user.http.post("/api/auth/logout").status_code == 204
    user.http.close()


@LOSSES
def test_login_begins_once(user, lose):
    lose()
    form = {"username": user.email, "password": user.password}
    user.client.post("/api/auth/login", data=form).raise_for_status()
    assert len(user.http.get("/api/auth/logins").json()["items"]) == 2


@LOSSES
def test_scan_is_stored_once_and_deleted(user, lose):
    lose()
    path = f"/api/scans/{user.scan().raise_for_status().json()['scan_id']}"
    assert user.http.get("/api/scans").json()["total"] == 1
    lose()
    assert user.http.delete(path).status_code == 204
    assert user.http.get("/api/scans").json()["total"] == 0


@LOSSES
def test_feedback_is_stored_once_and_withdrawn(user, lose):
    path = f"/api/scans/{user.scan().json()['scan_id']}/findings/1/feedback"
    for verdict, status in (("confirmed", 201), ("rejected", 200)):
        lose()
        assert user.http.put(path, json={"verdict": verdict}).status_code == status
    lose()
    assert user.http.delete(path).status_code == 204
    history = user.http.get(path).json()["history"]
    assert [row["verdict"] for row in history] == ["withdrawn", "rejected", "confirmed"]


@LOSSES
def test_password_changes_and_logins_end_once(user, admin, lose):
    lose()
    passwords = {"current_password": user.password, "new_password": "a new password"}
    assert user.http.put("/api/auth/password", json=passwords).status_code == 204
    lose()
    assert user.http.delete("/api/auth/logins").status_code == 204
    newest = admin.http.get("/api/admin/audit-events", params={"per_page": 3}).json()["items"]
    actions = [event["action"] for event in newest]
    assert actions == ["user.logged_out", "password.changed", "user.logged_in"]


@LOSSES
def test_scan_in_doubt_names_the_key_with_which_it_is_stored_once(user, relay, lose, monkeypatch):
    monkeypatch.setattr("db.database.LOOKUP_S", 0.2)
    scan = {"json": {"text": FLOW_TEXT}, "headers": {"Idempotency-Key": "one"}}
    relay.on_loss = relay.refuse
    lose()
    answer = user.http.post("/api/scan", **scan)
    relay.on_loss = lambda: None
    relay.open()
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert "Idempotency-Key" in answer.json()["detail"]
    ids = {user.http.post("/api/scan", **scan).json()["scan_id"] for _ in range(2)}
    stored = user.http.get("/api/scans").json()
    assert {item["scan_id"] for item in stored["items"]} == ids
    assert stored["total"] == 1
