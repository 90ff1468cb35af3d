"""Every error is problem+json with a code, whatever its origin; CORS, headers and media types."""

import json
import socket
import time

import pytest

from service.api.http.limits import MAX_HEADER_BYTES
from tests.support.calls import HTTP

MEMBERS = {"type", "title", "status", "detail", "instance", "code", "request_id", "errors"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "not_found"),
        ("GET", "/api/nowhere", {}, 404, "not_found"),
        ("GET", "/api/v1/scans/not-a-uuid", {}, 404, "not_found"),
        ("PATCH", "/api/scans", {}, 405, "method_not_allowed"),
        ("GET", "/health", {"Accept": "image/png"}, 406, "not_acceptable"),
        ("GET", "/api/scans", {}, 401, "unauthenticated"),
        ("GET", "/api/scans", {"Authorization": "Basic eDp5"}, 401, "unauthenticated"),
        ("GET", "/api/scans", {"Authorization": "Bearer \u00ff"}, 401, "unauthenticated"),
        ("POST", "/api/auth/login", {"Content-Type": "text/csv"}, 415, "unsupported_media_type"),
        ("POST", "/api/auth/login", {"Content-Type": "application/json"}, 400, "invalid_request"),
        ("POST", "/api/auth/login", {"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
        ("GET", "/api//scans", {}, 404, "not_found"),
    ],
)
def test_error_is_a_problem_with_all_members(client, method, path, headers, status, code):  # noqa: PLR0917
    encoded = {k: v.encode("latin-1") for k, v in headers.items()}
    answer = client.request(
        method, path, headers=encoded, content=b"{" if method == "POST" else None
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(answer.json()) == MEMBERS
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


def test_error_with_several_faults_joins_them_in_one_sentence(client):
    detail = client.post("/api/auth/register", json={"a": 1, "b": 2}).json()["detail"]
    assert detail.endswith(".")
    assert detail.count("; ") == 3
    assert ".;" not in detail


def test_method_not_allowed_lists_the_allowed_methods(client):
    assert "GET" in client.patch("/api/scans").headers["Allow"]


def test_body_over_the_limit_is_413_before_it_is_received(start_service):
    live = start_service(MAX_FILE_BYTES="100000", MAX_TEXT_CHARS="1000", AI_SERVICE_OPEN="true")
    answer = HTTP.post(f"{live.url}/scan", files={"file": ("a.txt", b"x" * 300_000)})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "MAX_FILE_BYTES" in answer.json()["detail"]


def test_file_over_the_limit_names_the_setting(start_service):
    live = start_service(MAX_FILE_BYTES="100000", AI_SERVICE_OPEN="true")
    answer = HTTP.post(f"{live.url}/scan", files={"file": ("a.txt", b"x" * 100_001)})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "MAX_FILE_BYTES" in answer.json()["detail"]


def raw(url, request):
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode("latin-1")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (
            (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * MAX_HEADER_BYTES)[:MAX_HEADER_BYTES],
            "413",
        ),
        (b"POST /scan HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", "413"),
        (b"POST /scan HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\n", "400"),
        (b"GET http://[/ HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
        (b"POST /scan HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", "400"),
    ],
)
def test_error_of_the_http_server_is_a_problem(live, request_, status):
    answer = raw(live.url, request_)
    assert answer.split()[1] == status
    assert "Content-Type: application/problem+json" in answer
    assert "X-Request-Id: " in answer.title()


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://localhost:3000"])
def test_cors_known_origin_is_allowed_with_credentials(client, origin):
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for answer in (
        client.options("/api/scan", headers=asked),
        client.get("/health", headers=asked),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"


def test_cors_unknown_origin_is_not_allowed(client):
    answer = client.get("/health", headers={"Origin": "http://evil.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_request_id_from_the_caller_is_used_if_safe(client):
    sent = {"X-Request-ID": "trace-0123456789"}
    assert client.get("/health", headers=sent).headers["X-Request-ID"] == "trace-0123456789"
    assert client.get("/health", headers={"X-Request-ID": "a b"}).headers["X-Request-ID"] != "a b"


def test_unexpected_failure_reveals_no_details(live, user, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("the secret detail")

    pipeline = live.services.pipeline
    monkeypatch.setattr(type(pipeline), "scan", broken)
    answer = user.scan()
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret detail" not in answer.text


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"&".join(b"f%d=" % n for n in range(1000))),
        ("application/json", json.dumps({f"f{n}" * 50: 1 for n in range(300)}).encode()),
    ],
)
def test_body_with_many_unknown_fields_gets_a_short_response(client, kind, body):
    answer = client.post("/api/auth/login", content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert len(answer.content) < 20_000


@pytest.mark.parametrize("space", [" ", "\t", "\u00a0"])
def test_white_space_in_accept_is_read_in_linear_time(client, space):
    accept = f"a{space * 30_000}b, application/json;{space * 1_000}q=0.5".encode("latin-1")
    start = time.process_time()
    assert client.get("/health", headers={"Accept": accept}).status_code == 200
    assert time.process_time() - start < 0.5  # 0.8 s and more in quadratic time


def test_body_of_a_megabyte_about_accounts_is_413(client):
    answer = client.post("/api/auth/login", data={"username": "a" * 1_000_000, "password": "b"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "65,536" in answer.json()["detail"]
