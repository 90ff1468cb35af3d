"""Headers of every response: caching, ETags, compression, CORS and framing."""

import gzip

import pytest
from apiflask import APIFlask

from service.api.http import response_headers
from tests.support.calls import HTTP
from tests.support.sentences import FLOW_TEXT

LONG_TEXT = f"{FLOW_TEXT}. " * 12


@pytest.fixture
def scan(user):
    """Path of a scan of `user` whose answers are longer than a kilobyte."""
    return f"/api/v1/scans/{user.scan(LONG_TEXT).json()['scan_id']}"


def encoded(http, path, accept="gzip"):
    with http.stream("GET", path, headers={"Accept-Encoding": accept}) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize("path", ["{scan}", "{scan}/findings", "/api/taxonomy", "/openapi.json"])
def test_resource_unchanged_is_304_without_a_body(user, scan, path):
    path = path.format(scan=scan)
    first = user.http.get(path)
    again = user.http.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert user.http.get(path, headers={"If-None-Match": 'W/"0"'}).json() == first.json()


def test_etag_of_findings_changes_with_a_verdict(user, scan):
    known = {"If-None-Match": user.http.get(f"{scan}/findings").headers["ETag"]}
    user.http.put(f"{scan}/findings/1/feedback", json={"verdict": "rejected"})
    assert user.http.get(f"{scan}/findings", headers=known).status_code == 200


def test_etag_is_valid_for_every_encoding(user, scan):
    compressed, _ = encoded(user.http, scan)
    known = {"If-None-Match": compressed.headers["ETag"], "Accept-Encoding": "identity"}
    assert user.http.get(scan, headers=known).status_code == 304


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_json_of_a_kilobyte_is_compressed_if_accepted(user, scan, encoding):
    answer, body = encoded(user.http, f"{scan}/findings", encoding)
    plain = user.http.get(f"{scan}/findings", headers={"Accept-Encoding": "identity"})
    assert answer.headers["Content-Encoding"] == encoding
    assert len(body) < len(plain.content) / 4
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert "Content-Encoding" not in plain.headers


def test_json_compressed_equals_the_plain_response(user, scan):
    _, body = encoded(user.http, scan)
    assert gzip.decompress(body) == user.http.get(scan).content


def test_json_below_a_kilobyte_is_not_compressed(user):
    answer, _ = encoded(user.http, "/api/auth/me")
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize(("path", "encoding"), [("/api/v1/auth/x", None), ("/api/v1/x", "gzip")])
def test_responses_about_accounts_are_never_compressed(path, encoding):
    app = APIFlask("headers")
    response_headers.register(app)
    app.add_url_rule(path, "x", lambda: {"token": "x" * 2000})
    answer = app.test_client().get(path, headers={"Accept-Encoding": "gzip"})
    assert answer.headers.get("Content-Encoding") == encoding


def test_responses_with_text_or_tokens_are_no_store(user, scan):
    form = {"username": user.email, "password": user.password}
    answers = [
        user.scan(),
        user.http.post("/scan", json={"text": FLOW_TEXT}),
        *map(user.http.get, ("/api/scans", scan, f"{scan}/findings", f"{scan}/feedback")),
        user.http.post("/api/auth/login", data=form),
        user.http.get("/api/scans/none"),
    ]
    assert {a.headers["Cache-Control"] for a in answers} == {"no-store"}


def test_taxonomy_is_cached_with_revalidation(user):
    assert user.http.get("/api/taxonomy").headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("origins", ["http://localhost:5173", "http://a.test,http://b.test"])
def test_every_response_varies_by_origin(start_service, origins):
    live = start_service(CORS_ORIGINS=origins)
    asked = [{}, {"Origin": origins.split(",")[0]}, {"Origin": "http://evil.example"}]
    for headers in asked:
        vary = HTTP.get(f"{live.url}/health", headers=headers).headers["Vary"]
        assert "Origin" in vary.split(", ")


def test_pages_of_an_ipv6_origin_may_read_the_api_and_no_others(start_service):
    origin = "http://[::1]:3000"
    live = start_service(CORS_ORIGINS=f"http://a.test,{origin}")
    sent = (origin, "http://A.test", "http://:3000", "http://1:3000", f"{origin}0")
    answers = [HTTP.get(f"{live.url}/health", headers={"Origin": o}) for o in sent]
    allowed = [answer.headers.get("Access-Control-Allow-Origin") for answer in answers]
    assert allowed == [origin, "http://A.test", None, None, None]
    assert all(answer.headers["Vary"].count("Origin") == 1 for answer in answers)


def test_preflight_is_cached_for_two_hours(client):
    asked = {"Origin": "http://localhost:5173", "Access-Control-Request-Method": "POST"}
    answer = client.options("/api/scan", headers=asked)
    assert int(answer.headers["Access-Control-Max-Age"]) >= 600


def test_policies_forbid_framing_and_foreign_scripts(client):
    for path in ("/docs", "/health", "/nowhere", "/openapi.json"):
        headers = client.get(path).headers
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        policy = dict(p.split(" ", 1) for p in headers["Content-Security-Policy"].split("; "))
        assert (policy["default-src"], policy["frame-ancestors"]) == ("'none'", "'none'")
        assert policy.get("script-src", "'self'") == "'self'"


def test_docs_page_has_no_inline_script(client):
    scripts = client.get("/docs").text.split("<script")[1:]
    assert scripts
    assert all(s.lstrip().startswith("src=") and "></script>" in s for s in scripts)
