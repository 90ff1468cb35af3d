"""Large bodies are received only with a valid token; other requests are rejected by their head."""

import re
import time
from uuid import UUID

import jwt
import pytest

from service.api.http.limits import SMALL_BODY_BYTES
from tests.api.test_framing import all_of
from tests.support.calls import HTTP

JSON = {"Content-Type": "application/json"}
EXPECT = "Expect: 100-continue"
ORIGIN = "http://localhost:5173"
LENGTH = SMALL_BODY_BYTES + 1


def head(path, *headers, length=LENGTH):
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {length}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def bearer(token):
    return f"Authorization: Bearer {token}"


@pytest.mark.parametrize("path", ["/api/scan", "/api/v1/scan", "/scan", "/nowhere", "/health"])
@pytest.mark.parametrize("expect", ["X-A: 1", EXPECT])
def test_large_body_without_token_is_rejected_by_its_head(live, path, expect):
    answer = all_of(live, head(path, expect))
    assert answer.startswith("HTTP/1.1 401 ")
    assert '"code": "unauthenticated"' in answer
    assert "Connection: close" in answer
    assert "Www-Authenticate: Bearer" in answer


def test_large_body_with_invalid_token_is_rejected_by_its_head(live, user):
    claims = jwt.decode(user.tokens["access_token"], options={"verify_signature": False})
    expired = jwt.encode({**claims, "exp": int(time.time()) - 1}, "j" * 32, algorithm="HS256")
    forged = jwt.encode(claims, "f" * 32, algorithm="HS256")
    for token in (expired, forged, user.tokens["refresh_token"], "x", "\u00ff"):
        assert all_of(live, head("/api/scan", bearer(token))).split()[1] == "401"
    basic = head("/api/scan", "Authorization: Basic " + user.tokens["access_token"])
    assert all_of(live, basic).split()[1] == "401"


def test_large_body_with_token_is_received(live, user):
    token = bearer(user.tokens["access_token"])
    form = "Content-Type: application/x-www-form-urlencoded"
    body = b"text=" + b"The+vendor+may+fail.+" * 4_000
    headers = (token, form, EXPECT, "Connection: close")
    answer = all_of(live, head("/api/scan", *headers, length=len(body)), body)
    assert answer.startswith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 ")


def test_chunked_body_without_token_is_rejected_beyond_the_small_limit(live):
    chunked = b"POST /api/scan HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = all_of(live, chunked, b"100000\r\n" + b"x" * 2 * LENGTH)
    assert answer.startswith("HTTP/1.1 401 ")


def test_small_body_without_token_reaches_the_view(live):
    answer = HTTP.post(f"{live.url}/api/scan", content=b"x" * SMALL_BODY_BYTES)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("path", ["/api/auth/login", "/api/v1/auth/register", "//api/auth/login"])
def test_large_body_about_accounts_is_413_even_with_token(live, user, path):
    answer = all_of(live, head(path, bearer(user.tokens["access_token"])))
    assert answer.startswith("HTTP/1.1 413 ")
    assert f"{SMALL_BODY_BYTES:,}" in answer


def test_large_body_without_token_is_received_by_open_scan_only(start_service):
    live = start_service(AI_SERVICE_OPEN="true")
    text = "The vendor may fail. " * 4_000
    assert HTTP.post(f"{live.url}/scan", data={"text": text}).status_code == 200
    assert all_of(live, head("/api/scan")).split()[1] == "401"


def test_rejection_by_the_head_has_cors_headers(live):
    answer = all_of(live, head("/api/scan", f"Origin: {ORIGIN}"))
    assert f"Access-Control-Allow-Origin: {ORIGIN}" in answer
    assert "Access-Control-Allow-Credentials: true" in answer
    elsewhere = all_of(live, head("/api/scan", "Origin: http://evil.example"))
    assert "Access-Control-Allow-Origin" not in elsewhere


def test_view_with_authentication_checks_the_token_before_the_body(live, client):
    public = {"/api/v1/auth/register", "/api/v1/auth/login", "/api/v1/auth/refresh"}
    public |= {"/api/v1/auth/password/link"}
    rules = [r for r in live.app.url_map.iter_rules() if r.methods & {"POST", "PUT"}]
    # The pages' forms check the origin instead.
    closed = [r for r in rules if r.rule not in public and r.rule.startswith(("/api/", "/scan"))]
    assert len(closed) > 4
    for rule in closed:
        path = re.sub(r"<int:\w+>", "1", re.sub(r"<uuid:\w+>", str(UUID(int=0)), rule.rule))
        method = "POST" if "POST" in rule.methods else "PUT"
        answer = client.request(method, path, content=b"{", headers=JSON)
        assert (path, answer.status_code) == (path, 401)
