"""API keys as machines and their owners use them."""

import concurrent.futures
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import inspect, select, update

from db.tables import ApiKey
from service.api.http.limits import SMALL_BODY_BYTES
from service.domain.accounts import user_admin
from service.domain.audit import Actor
from tests.support.calls import caller
from tests.support.sentences import FLOW_TEXT

pytestmark = pytest.mark.every_database

KEYS = "/api/v1/auth/keys"


def create(user, *scopes, **body):
    body = {"name": "nightly import", "scopes": [*scopes] or ["scan", "read"], **body}
    return user.http.post(KEYS, json=body)


@pytest.fixture
def new_key(user):
    """Create keys of `user`; return each as the response shows it."""
    return lambda *scopes, **body: create(user, *scopes, **body).raise_for_status().json()


@pytest.fixture
def machine(client):
    """Send a request with a key and nothing else."""

    def send(key, method="GET", path="/api/v1/scans", headers=None, **request):
        headers = headers or {"X-API-Key": key}
        return client.request(method, path, headers=headers, **request)

    return send


def change_stored(live, key, **values):
    statement = update(ApiKey).where(ApiKey.id == UUID(key["id"])).values(**values)
    live.services.transactions.run(lambda s: s.execute(statement))


def test_key_scans_and_reads_the_scan_back(new_key, machine, user):
    key = new_key("scan", "read")["key"]
    scan = machine(key, "POST", "/api/scan", json={"text": FLOW_TEXT})
    assert scan.status_code == 201
    assert {item["category"] for item in scan.json()["data"]} == {"Budget", "Schedule"}
    [own] = user.http.get("/api/scans").json()["items"]
    assert own["scan_id"] == scan.json()["scan_id"]
    answer = machine(key, path=scan.headers["Location"])
    assert answer.json()["scan_id"] == own["scan_id"]


@pytest.mark.parametrize("scheme", ["ApiKey", "apikey"])
def test_key_in_the_authorization_header_works(new_key, machine, scheme):
    headers = {"Authorization": f"{scheme} {new_key()['key']}"}
    assert machine(None, headers=headers).status_code == 200


def test_key_is_shown_once_and_stored_as_a_hash_alone(new_key, user, live):
    created = new_key()
    assert re.fullmatch(r"rsk_[0-9A-Za-z]{92}", created["key"])
    assert created["key"].endswith(created["hint"])
    [listed] = user.http.get(KEYS).json()["items"]
    assert listed == {name: value for name, value in created.items() if name != "key"}
    row = live.services.transactions.read(
        lambda s: s.scalar(select(ApiKey).where(ApiKey.id == UUID(created["id"])))
    )
    stored = [str(getattr(row, column.key)) for column in inspect(ApiKey).columns]
    assert not [value for value in stored if created["key"][5:40] in value]


def test_key_response_has_location_and_is_not_cached(user):
    answer = create(user)
    assert answer.headers["Cache-Control"] == "no-store"
    assert user.http.get(answer.headers["Location"]).json()["id"] == answer.json()["id"]


def test_key_without_the_scope_is_403_that_names_it(new_key, machine):
    answer = machine(new_key("read")["key"], "POST", "/api/scan", json={"text": FLOW_TEXT})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "needs an API key with the scope scan; this one has read" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", KEYS),
        ("GET", KEYS),
        ("DELETE", f"{KEYS}/{{id}}"),
        ("POST", f"{KEYS}/{{id}}/rotation"),
        ("PUT", "/api/v1/auth/password"),
        ("POST", "/api/v1/auth/logout"),
    ],
)
def test_key_of_every_scope_changes_no_key_and_no_password(admin, machine, method, path):
    key = create(admin, "scan", "read", "review", "delete", "admin").json()
    answer = machine(key["key"], method, path.format(id=key["id"]), json={})
    assert answer.status_code == 403
    assert "API keys cannot use this path" in answer.json()["detail"]


@pytest.mark.parametrize("key", ["", "rsk_x", "rsk_" + "0" * 92])
def test_request_with_an_invented_key_is_401(machine, key):
    answer = machine(key)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"]


def test_key_deleted_stops_working_at_once(new_key, machine, user):
    key = new_key()
    path = f"{KEYS}/{key['id']}"
    assert machine(key["key"]).status_code == 200
    assert [user.http.delete(path).status_code for _ in "12"] == [204, 404]
    assert machine(key["key"]).status_code == 401


def test_key_expired_is_401_that_says_so(new_key, machine, live):
    key = new_key(expires_in_days=1)
    life = datetime.fromisoformat(key["expires_at"]) - datetime.fromisoformat(key["created_at"])
    assert life == timedelta(days=1)
    change_stored(live, key, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    answer = machine(key["key"])
    assert answer.status_code == 401
    assert "has expired" in answer.json()["detail"]


def test_key_expires_after_90_days_unless_it_asks_for_no_end(new_key):
    created, endless = new_key(), new_key(expires_in_days=None)
    life = datetime.fromisoformat(created["expires_at"]) - datetime.fromisoformat(
        created["created_at"]
    )
    assert (life.days, endless["expires_at"]) == (90, None)


def test_rotation_replaces_a_key_and_the_old_one_works_for_the_grace(new_key, machine, user, live):
    old = new_key("read", expires_in_days=30)
    answer = user.http.post(f"{KEYS}/{old['id']}/rotation", json={"grace_s": 3600})
    new = answer.json()
    assert answer.status_code == 201
    assert (new["name"], new["scopes"]) == (old["name"], ["read"])
    stored = user.http.get(f"{KEYS}/{old['id']}").json()
    assert stored["replaced_by"] == new["id"]
    left = datetime.fromisoformat(stored["expires_at"]) - datetime.now(UTC)
    assert timedelta(0) < left <= timedelta(hours=1)
    assert [machine(key["key"]).status_code for key in (old, new)] == [200, 200]
    change_stored(live, old, expires_at=datetime.now(UTC))
    assert [machine(key["key"]).status_code for key in (old, new)] == [401, 200]


def test_rotation_without_grace_ends_the_old_key(new_key, machine, user):
    old = new_key("read")
    new = user.http.post(f"{KEYS}/{old['id']}/rotation", json={"grace_s": 0}).json()
    assert [machine(key["key"]).status_code for key in (old, new)] == [401, 200]


def test_rotation_of_one_key_at_once_has_one_winner(new_key, user):
    path = f"{KEYS}/{new_key()['id']}/rotation"
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: user.http.post(path, json={}), range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert len(user.http.get(KEYS).json()["items"]) == 2


def test_last_use_is_stored_once_a_minute(new_key, machine, user, live):
    key = new_key()
    path = f"{KEYS}/{key['id']}"
    assert user.http.get(path).json()["last_used_at"] is None
    machine(key["key"])
    first = user.http.get(path).json()["last_used_at"]
    machine(key["key"])
    assert user.http.get(path).json()["last_used_at"] == first
    change_stored(live, key, last_used_at=datetime.now(UTC) - timedelta(hours=1))
    machine(key["key"])
    assert user.http.get(path).json()["last_used_at"] > first


def test_key_of_a_disabled_account_is_refused_and_gone(new_key, machine, user, live):
    key = new_key()["key"]
    run, actor = live.services.transactions.run, Actor(operator="cli:root")
    user_id = run(user_admin.id_of, user.email)
    run(user_admin.disable, user_id, actor=actor)
    assert machine(key).status_code == 401
    run(user_admin.enable, user_id, actor=actor)
    assert machine(key).status_code == 401


def test_key_faults_are_listed_at_once(user):
    answer = create(user, "scan", "everything", name="", expires_in_days=0)
    assert answer.status_code == 400
    fields = {error["field"].split(".")[0] for error in answer.json()["errors"]}
    assert fields == {"scopes", "name", "expires_in_days"}


def test_scope_admin_is_for_administrators(user, admin, machine, live):
    assert create(user, "admin").status_code == 403
    key = create(admin, "admin").json()["key"]
    assert machine(key, path="/api/v1/admin/models").status_code == 200
    second = live.services.accounts.register(f"2{admin.email}", "correct horse", role="admin")
    run = live.services.transactions.run
    run(user_admin.set_role, run(user_admin.id_of, admin.email), "user", actor=Actor(second.id))
    assert machine(key, path="/api/v1/admin/models").status_code == 403


def test_number_of_keys_is_limited(start_service, make_user):
    user = make_user(start_service(MAX_API_KEYS="2"))
    keys = [create(user).raise_for_status().json() for _ in range(2)]
    refused = create(user)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert "You have 2 API keys, the limit (MAX_API_KEYS)" in refused.json()["detail"]
    assert user.http.post(f"{KEYS}/{keys[0]['id']}/rotation", json={}).status_code == 409
    user.http.delete(f"{KEYS}/{keys[0]['id']}").raise_for_status()
    assert create(user).status_code == 201


@pytest.mark.parametrize("value", [1.5, "1.5", True, 1e300, "x"])
def test_lifetime_and_grace_that_are_no_whole_numbers_are_400(user, new_key, value):
    key = new_key()["id"]
    calls = [
        ("expires_in_days", KEYS, {"name": "ci", "scopes": ["scan"], "expires_in_days": value}),
        ("grace_s", f"{KEYS}/{key}/rotation", {"grace_s": value}),
    ]
    for field, url, body in calls:
        answer = user.http.post(url, json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    assert user.http.get(f"{KEYS}/{key}").json()["replaced_by"] is None


def test_grace_of_a_form_is_read(user, new_key):
    url = f"{KEYS}/{new_key()['id']}/rotation"
    assert user.http.post(url, data={"grace_s": "60"}).status_code == 201


def test_large_document_with_a_key_is_received(new_key, machine):
    text = "The vendor may fail. " * (SMALL_BODY_BYTES // 20)
    key = new_key()["key"]
    for headers in ({"X-API-Key": key}, {"Authorization": f"ApiKey {key}"}):
        answer = machine(None, "POST", "/api/scan", headers=headers, json={"text": text})
        assert answer.status_code == 201
    forged = key[:-1] + ("x" if key[-1] != "x" else "y")
    answer = machine(forged, "POST", "/api/scan", json={"text": text})
    assert answer.status_code == 401


def test_audit_trail_names_key_and_address_but_never_the_key(new_key, user, admin):
    key = new_key()
    new = user.http.post(f"{KEYS}/{key['id']}/rotation", json={}).json()
    user.http.delete(f"{KEYS}/{key['id']}")
    answer = admin.http.get("/api/admin/audit-events", params={"per_page": 20})
    events = [e for e in answer.json()["items"] if e["action"].startswith("key.")][:3]
    assert [e["action"] for e in events] == ["key.deleted", "key.rotated", "key.created"]
    assert {e["detail"]["key_id"] for e in events} == {key["id"]}
    assert {e["detail"]["client_address"] for e in events} == {"127.0.0.1"}
    assert not [k["key"] for k in (key, new) if k["key"][4:40] in answer.text]


def test_keys_created_beyond_the_rate_limit_are_429(start_service):
    service = start_service(LOGIN_RATE_LIMIT="3 per minute")
    with caller(service.url) as http:
        account = {"email": "a@corp.local", "password": "long enough"}
        http.post("/api/auth/register", json=account).raise_for_status()
        tokens = http.post("/api/auth/login", json=account).json()
        http.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        body = {"name": "ci", "scopes": ["read"]}
        statuses = [http.post(KEYS, json=body).status_code for _ in range(4)]
    assert statuses == [201, 201, 201, 429]


def test_scan_quota_counts_keys_and_tokens_of_a_user_together(start_service):
    service = start_service(SCAN_RATE_LIMIT="2 per minute")
    with caller(service.url) as http:
        account = {"email": "a@corp.local", "password": "long enough"}
        http.post("/api/auth/register", json=account).raise_for_status()
        token = http.post("/api/auth/login", json=account).json()["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        body = {"name": "ci", "scopes": ["scan"]}
        key = {"X-API-Key": http.post(KEYS, json=body, headers=bearer).json()["key"]}
        text = {"json": {"text": FLOW_TEXT}}
        statuses = [
            http.post("/api/scan", headers=headers, **text).status_code
            for headers in (bearer, key, key)
        ]
    assert statuses == [201, 201, 429]
