"""Every response tells browsers what to refuse: pages, the API, static files, and errors from any layer."""

import re
import socket
import uuid
from contextlib import closing
from http.client import HTTPResponse
from urllib.parse import urlsplit

import httpx
import pytest

from service.server import admission
from tests.support.calls import caller
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import PATIENCE_S
from tests.web.conftest import PASSWORD, Visitor

HTTPS = {"X-Forwarded-Proto": "https"}
HTML = {"Accept": "text/html"}
HSTS = "max-age=31536000"
SAMPLES = {"uuid": str(uuid.uuid4()), "int": "1", "path": "base.css", "name": "swagger-ui.css"}
LOGIN = "/api/v1/auth/login"
WRONG = {"username": "nobody@corp.local", "password": "a wrong password"}


@pytest.fixture(scope="module")
def behind_proxy(start_service):
    return start_service(TRUSTED_PROXY="127.0.0.1", LOGIN_RATE_LIMIT="9 per hour")


@pytest.fixture(scope="module")
def http(behind_proxy):
    """An administrator's browser, whose requests come by HTTPS."""
    admin = Visitor(behind_proxy.url)
    behind_proxy.services.accounts.register(admin.email, PASSWORD, role="admin")
    assert admin.send("/login", email=admin.email, password=PASSWORD).status_code == 303
    admin.http.headers.update(HTTPS)
    yield admin.http
    admin.http.close()


def check(answer, *, hsts=HSTS):
    """Check the headers of an answer and return it."""
    headers = answer.headers
    fixed = ("X-Content-Type-Options", "X-Frame-Options", "Strict-Transport-Security")
    assert [headers.get(name) for name in fixed] == ["nosniff", "DENY", hsts]
    assert headers["Referrer-Policy"] in {"no-referrer", "same-origin"}
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Cache-Control"]
    policy = dict(p.partition(" ")[::2] for p in headers["Content-Security-Policy"].split("; "))
    assert (policy["default-src"], policy["frame-ancestors"]) == ("'none'", "'none'")
    assert policy.get("script-src", "'self'") == "'self'"
    return answer


def sample(rule):
    """Return a path that the rule matches."""
    return re.sub(r"<(?:(\w+):)?(\w+)>", lambda m: SAMPLES.get(m[1] or m[2], "x"), rule)


def test_every_page_and_every_get_has_the_headers(behind_proxy, http):
    rules = [r for r in behind_proxy.app.url_map.iter_rules() if "GET" in r.methods]
    statuses = {
        check(http.get(sample(rule.rule), headers=accept)).status_code
        for rule in rules
        for accept in ({}, HTML)
        if accept == {} or not rule.rule.startswith("/api/")
    }
    assert statuses >= {200, 302, 303, 404}
    assert check(http.get("/static/base.css")).status_code == 200
    assert check(http.get("/docs/assets/swagger-ui.css")).status_code == 200


def test_changes_and_their_errors_have_the_headers(http):
    token = re.search('csrf-token" content="(.+?)"', http.get("/settings", headers=HTML).text)[1]
    csrf = {"X-CSRF-Token": token}
    too_long = {"text": "x" * 3_000_000}
    answers = [
        http.post("/api/scan", json={"text": FLOW_TEXT}, headers=csrf),
        http.post("/api/scan", json={}, headers=csrf),
        http.post("/api/scan", json={"text": FLOW_TEXT}),
        http.get("/nowhere"),
        http.delete("/api/v1/taxonomy", headers=csrf),
        http.get("/api/v1/taxonomy", headers={"Accept": "image/png"}),
        http.post("/api/scan", json=too_long, headers=csrf),
        http.post("/api/scan", content=b"x", headers={**csrf, "Content-Type": "image/png"}),
        http.options("/api/scan", headers={"Origin": "http://localhost:5173"}),
    ]
    statuses = [check(answer).status_code for answer in answers]
    assert statuses == [201, 400, 403, 404, 405, 406, 413, 415, 200]


def test_rate_limit_has_the_headers(behind_proxy):
    with closing(caller(behind_proxy.url, headers=HTTPS)) as client:
        answers = [check(client.post(LOGIN, data=WRONG)) for _ in range(10)]
    assert answers[-1].status_code == 429


def test_failure_has_the_headers(behind_proxy, http, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError

    monkeypatch.setattr(type(behind_proxy.services.accounts), "authenticate", broken)
    assert check(http.get("/api/v1/auth/me")).status_code == 500


def rejection(url, head):
    """Return the answer to a request of which only the head is sent."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), PATIENCE_S) as connection:
        connection.sendall(f"POST /api/scan HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode())
        answer = HTTPResponse(connection)
        answer.begin()
        body = answer.read()
    return httpx.Response(answer.status, headers=answer.getheaders(), content=body)


@pytest.mark.parametrize(
    ("head", "status"),
    [("Content-Length: 5000000", 401), (f"Content-Length: {2**40}", 413)],
)
def test_rejection_by_the_head_has_the_headers(behind_proxy, head, status):
    answer = rejection(behind_proxy.url, f"X-Forwarded-Proto: https\r\n{head}")
    assert check(answer).status_code == status
    assert check(rejection(behind_proxy.url, head), hsts=None).status_code == status


def test_rejection_of_an_unreadable_head_has_the_headers_but_hsts(behind_proxy):
    answer = rejection(behind_proxy.url, "X-Forwarded-Proto: https\r\nTransfer-Encoding: gzip")
    assert check(answer, hsts=None).status_code == 400


def test_full_queue_has_the_headers(start_service, monkeypatch):
    monkeypatch.setattr(admission, "WAITING_PER_THREAD", 0)
    live = start_service(TRUSTED_PROXY="127.0.0.1")
    with closing(caller(live.url)) as client:
        assert check(client.get("/login", headers=HTTPS)).status_code == 503
        assert check(client.get("/login"), hsts=None).status_code == 503


def test_plain_http_and_claims_of_strangers_get_no_hsts(client):
    for path in ("/login", "/health", "/nowhere"):
        check(client.get(path), hsts=None)
        check(client.get(path, headers=HTTPS), hsts=None)  # no TRUSTED_PROXY
