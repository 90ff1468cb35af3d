"""The service survives a database outage and recovers by itself."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.engine import make_url

from tests.e2e.test_start_and_stop import log_in
from tests.support.calls import HTTP
from tests.support.relay import Relay
from tests.support.sentences import FLOW_TEXT


@pytest.fixture
def relay(mysql_url):
    url = make_url(mysql_url)
    relay = Relay(url.host, url.port or 3306)
    relay.url = url.set(host="127.0.0.1", port=relay.port).render_as_string(hide_password=False)
    relay.open()
    yield relay
    relay.cut()


def scan(url, headers):
    return HTTP.post(f"{url}/api/scan", json={"text": FLOW_TEXT}, headers=headers)


def test_scan_during_a_database_outage_is_503_and_works_afterwards(start, relay):
    process = start(DATABASE_URL=relay.url)
    headers = log_in(process.url)
    assert scan(process.url, headers).status_code == 201
    relay.cut()
    away = scan(process.url, headers)
    assert (away.status_code, away.json()["code"]) == (503, "database_unavailable")
    assert int(away.headers["Retry-After"]) > 0
    not_ready = process.wait_until("/health/ready", 503)
    assert not_ready.json()["errors"][0]["field"] == "database"
    assert HTTP.get(f"{process.url}/health/live").status_code == 200
    relay.open()
    process.wait_until("/health/ready", 200)
    assert scan(process.url, headers).status_code == 201


def test_database_connections_dropped_while_idle_fail_no_request(start, relay):
    process = start(DATABASE_URL=relay.url, THREADS="4")
    headers = log_in(process.url)
    with ThreadPoolExecutor(8) as clients:
        for _ in range(3):
            answers = list(clients.map(lambda _: scan(process.url, headers), range(16)))
            assert {answer.status_code for answer in answers} == {201}
            relay.cut()
            relay.open()


def test_start_without_the_database_delays_only_readiness(start, relay):
    relay.cut()
    process = start(ready=False, DATABASE_URL=relay.url)
    process.wait_until("/health/ready", 503)
    relay.open()
    process.wait_until("/health/ready", 200)
    assert scan(process.url, log_in(process.url)).status_code == 201
