"""In production only this machine may use plain HTTP; the trusted proxy says which requests came by HTTPS."""

import secrets
from contextlib import closing

import pytest

from tests.support.calls import caller

PRODUCTION = {
    "RISKSCAN_ENV": "production",
    "SECRET_KEY": secrets.token_hex(32),
    "JWT_SECRET": secrets.token_hex(32),
}
ELSEWHERE = {"X-Forwarded-For": "192.0.2.7"}


@pytest.fixture(scope="module")
def start(start_service):
    return lambda **settings: start_service(**PRODUCTION, **settings)


@pytest.fixture(scope="module")
def behind_proxy(start):
    return start(TRUSTED_PROXY="127.0.0.1")


def get(live, path="/api/v1/taxonomy", **headers):
    with closing(caller(live.url)) as http:
        return http.get(path, headers=headers)


def test_plain_http_of_another_machine_is_refused_with_a_remedy(behind_proxy):
    answer = get(behind_proxy, **ELSEWHERE, **{"X-Forwarded-Proto": "http"})
    assert (answer.status_code, answer.json()["code"]) == (403, "https_required")
    assert "https://" in answer.json()["detail"]
    assert get(behind_proxy, "/login", **ELSEWHERE).status_code == 403


def test_https_through_the_proxy_reaches_the_service(behind_proxy):
    answer = get(behind_proxy, **ELSEWHERE, **{"X-Forwarded-Proto": "https"})
    assert answer.json()["code"] == "unauthenticated"


def test_this_machine_and_probes_are_answered(behind_proxy):
    assert get(behind_proxy).json()["code"] == "unauthenticated"
    assert get(behind_proxy, "/health/live", **ELSEWHERE).status_code == 200


def test_operator_may_allow_plain_http(start):
    live = start(TRUSTED_PROXY="127.0.0.1", ALLOW_PLAIN_HTTP="true")
    assert get(live, **ELSEWHERE).json()["code"] == "unauthenticated"


def test_headers_of_others_than_the_proxy_have_no_effect(start):
    live = start(TRUSTED_PROXY="192.0.2.1")
    answer = get(live, **ELSEWHERE, **{"X-Forwarded-Proto": "http"})
    assert answer.json()["code"] == "unauthenticated"  # the peer counts, which is this machine


def test_browser_that_came_by_https_is_told_to_stay_there(behind_proxy):
    https = {**ELSEWHERE, "X-Forwarded-Proto": "https"}
    for path in ("/login", "/api/v1/scans", "/nothing", "/static/base.css", "/docs"):
        name = "Strict-Transport-Security"
        assert get(behind_proxy, path, **https).headers[name] == "max-age=31536000"
        assert name not in get(behind_proxy, path).headers


def test_proxy_in_a_network_counts_and_its_neighbours_do_not(start):
    live = start(TRUSTED_PROXY="10.0.0.0/8, 127.0.0.0/8")
    assert get(live, **ELSEWHERE).json()["code"] == "https_required"
    assert get(live, **ELSEWHERE, **{"X-Forwarded-Proto": "https"}).status_code == 401
