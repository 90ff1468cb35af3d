"""Replicas share what users and operators rely on: two services on one database, one Redis, one DATA_DIR."""

import concurrent.futures
import contextlib
import json
import secrets
import socket
import subprocess
import sys

import httpx
import pytest

from tests.e2e.conftest import ROOT, environment
from tests.e2e.replicas import Load, Replicas
from tests.e2e.test_start_and_stop import log_in
from tests.fakes.oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider
from tests.support.artifacts import NAME, VERSION, make_artifact
from tests.support.calls import HTTP, caller
from tests.support.databases import fresh_database
from tests.support.redis_server import RedisServer
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import wait_until

KEYS = {"SECRET_KEY": "s" * 32, "JWT_SECRET": "j" * 32}
NEW = f"{NAME}/2.0.0"
PASSWORD = "long enough"


@pytest.mark.parametrize("backend", ["mysql", "postgresql"], scope="session")
def test_replicas_that_start_at_once_migrate_once_and_share_accounts(backend, start, tmp_path):
    with fresh_database(backend, tmp_path) as url:
        first, second = (start(ready=False, DATABASE_URL=url, **KEYS) for _ in range(2))
        for replica in (first, second):
            replica.when_ready()
            assert not [line for line in replica.lines if '"level": "ERROR"' in line]
        headers = log_in(first.url)
        scan = HTTP.post(f"{second.url}/api/scan", json={"text": FLOW_TEXT}, headers=headers)
        assert scan.status_code == 201
        stored = HTTP.get(f"{first.url}/api/scans/{scan.json()['scan_id']}", headers=headers)
        assert stored.json()["data"] == scan.json()["data"]
        for replica in (second, first):
            replica.kill()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("replicas")


@pytest.fixture(scope="module")
def provider():
    server = OidcProvider()
    server.behave()
    yield server
    server.close()


@pytest.fixture(scope="module")
def replicas(folder, templates, provider):
    """Two services on one MariaDB, one Redis and one DATA_DIR, behind nginx."""
    make_artifact(folder / "models", "2.0.0", sharpness=1.3)
    with contextlib.ExitStack() as stack:
        redis = RedisServer()
        stack.callback(redis.kill)
        settings = {
            "DATABASE_URL": stack.enter_context(templates.copy("mysql", folder)),
            "REDIS_URL": redis.url,
            "REGISTRY_DIR": str(folder / "models"),
            "MODEL_POLL_S": "1",
            "KEY_RATE_LIMIT": "6 per hour",
            "PUBLIC_URL": "http://127.0.0.1",
            "OIDC_ISSUER": provider.issuer,
            "OIDC_CLIENT_ID": CLIENT_ID,
            "OIDC_CLIENT_SECRET": CLIENT_SECRET,
        }
        yield stack.enter_context(Replicas(folder, 2, **settings))


class User:
    """An account that is logged in, and a client of each replica with its token."""

    def __init__(self, stack, replicas):
        self.email = f"{secrets.token_hex(8)}@corp.local"
        first, second = (p.url for p in replicas.processes.values())
        body = {"email": self.email, "password": PASSWORD}
        HTTP.post(f"{first}/api/auth/register", json=body).raise_for_status()
        self.tokens = self.log_in(first).raise_for_status().json()
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"}
        self.clients = [
            stack.enter_context(caller(url, headers=headers)) for url in (first, second)
        ]

    def log_in(self, url, password=PASSWORD):
        form = {"username": self.email, "password": password}
        return HTTP.post(f"{url}/api/auth/login", data=form)


@pytest.fixture
def user(replicas):
    with contextlib.ExitStack() as stack:
        yield User(stack, replicas)


@pytest.fixture(scope="module")
def admin(replicas):
    with contextlib.ExitStack() as stack:
        made = User(stack, replicas)
        command = [sys.executable, "-m", "service", "users", "set-role", made.email, "admin"]
        environ = {**environment(replicas.settings["DATA_DIR"]), **replicas.settings}
        subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True)
        yield made


def scan(client, text=FLOW_TEXT, **options):
    return client.post("/api/scan", json={"text": text}, **options)


def test_rate_limits_count_the_requests_of_both(user):
    first, second = user.clients
    made = first.post("/api/v1/auth/keys", json={"name": "import", "scopes": ["read"]})
    key = {"X-API-Key": made.raise_for_status().json()["key"], "Authorization": ""}
    statuses = [c.get("/api/scans", headers=key).status_code for c in (first, second) * 4]
    assert statuses == [200] * 6 + [429] * 2


def test_failed_log_ins_at_one_delay_those_at_the_other(replicas, user):
    first, second = (p.url for p in replicas.processes.values())
    failures = [user.log_in(url, "wrong") for url in (first, second, first, second, first)]
    assert {answer.status_code for answer in failures} == {401}
    assert user.log_in(second).status_code == 429


def test_log_out_and_role_at_one_count_at_the_other_at_once(user, admin):
    first, second = user.clients
    assert second.get("/api/v1/users").status_code == 403
    user_id = first.get("/api/auth/me").json()["id"]
    role = {"role": "auditor"}
    admin.clients[0].patch(f"/api/v1/users/{user_id}", json=role).raise_for_status()
    assert second.get("/api/v1/admin/report-logs").status_code == 200
    first.post("/api/auth/logout").raise_for_status()
    assert second.get("/api/auth/me").status_code == 401


def test_address_that_is_blocked_at_one_is_refused_by_the_other_within_seconds(user, admin):
    address = {"X-Forwarded-For": "192.0.2.7"}
    block = {"network": "192.0.2.7", "reason": "test"}
    admin.clients[0].post("/api/v1/admin/blocks", json=block).raise_for_status()
    assert user.clients[0].get("/api/auth/me", headers=address).status_code == 403
    wait_until(lambda: user.clients[1].get("/api/auth/me", headers=address).status_code == 403)


def test_single_sign_on_that_begins_at_one_ends_at_the_other(replicas):
    first, second = replicas.processes.values()
    with caller(first.url) as browser:
        to_provider = browser.get("/login/sso")
        back = httpx.get(to_provider.headers["Location"]).headers["Location"]
        callback = httpx.URL(back).copy_with(port=second.port)
        assert browser.get(callback).status_code == 200
        assert browser.get(f"{second.url}/api/auth/me").status_code == 200
        assert browser.get(f"{first.url}/api/auth/me").status_code == 200


def test_idempotency_key_sent_to_both_at_once_stores_one_scan(user):
    key = {"Idempotency-Key": secrets.token_hex(8)}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda client: scan(client, headers=key), user.clients))
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json()["scan_id"] for answer in answers}) == 1
    assert user.clients[0].get("/api/scans").json()["total"] == 1


def test_model_that_is_activated_at_one_serves_at_the_other_within_seconds(admin):
    body = {
        "kind": "activate",
        "model": NEW,
        "force": True,
        "why": "Tried on last year's documents.",
    }
    admin.clients[0].post("/api/v1/admin/deployments", json=body).raise_for_status()
    model = "/api/v1/admin/models"
    for client in admin.clients:
        wait_until(lambda client=client: client.get(model).json()["serving_here"] == NEW)
    back = {"kind": "rollback", "why": "It was a test."}
    admin.clients[1].post("/api/v1/admin/deployments", json=back).raise_for_status()
    for client in admin.clients:
        wait_until(
            lambda client=client: client.get(model).json()["serving_here"] == f"{NAME}/{VERSION}"
        )


def test_drift_of_scans_at_one_is_measured_by_both(user):
    text = "".join(f"The budget {n} is tight.\n" for n in range(300))
    scan(user.clients[0], text).raise_for_status()

    def indexes(client):
        lines = client.get("/metrics").text.splitlines()
        return [line for line in lines if line.startswith("riskscan_drift_index{")]

    first, second = user.clients
    wait_until(lambda: indexes(first) and indexes(first) == indexes(second))


def upload_head(session, token, n_bytes, boundary):
    return (
        f"POST /api/v1/sessions/{session}/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: multipart/form-data; boundary={boundary}\r\nContent-Length: {n_bytes}\r\n\r\n"
    ).encode()


def test_upload_at_one_survives_a_clean_up_by_another_and_is_read_at_the_other(
    user, replicas, riskscan
):
    session = user.clients[0].post("/api/v1/sessions", json={"name": "s"}).json()["id"]
    content, boundary = b"The budget is tight. " * 50_000, "b0undary"
    part = (
        'Content-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain'
    )
    body = f"--{boundary}\r\n{part}\r\n\r\n".encode() + content + f"\r\n--{boundary}--\r\n".encode()
    head = upload_head(session, user.tokens["access_token"], len(body), boundary)
    port = replicas.ports[0]
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head + body[:500_000])
        assert riskscan("files", "verify", "--repair", **replicas.settings).returncode == 0
        connection.sendall(body[500_000:])
        answer = connection.recv(65_536).partition(b"\r\n\r\n")
    assert answer[0].startswith(b"HTTP/1.1 201 ")
    file = f"/api/v1/sessions/{session}/files/{json.loads(answer[2])['id']}"
    assert user.clients[1].get(f"{file}/content").content == content
    user.clients[1].delete(file).raise_for_status()
    assert user.clients[0].get(f"{file}/content").status_code == 404


def test_replica_that_stops_and_starts_under_load_fails_no_request(replicas):
    port = replicas.ports[1]
    with Load(replicas.nginx, n_clients=3) as load:
        load.go_on(30)
        replicas.stop(port)
        load.go_on(30)
        replicas.start(port)
        load.go_on(30)
    assert load.failures == []
