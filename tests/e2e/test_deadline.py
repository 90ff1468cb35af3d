"""AI_TIMEOUT_S limits a whole scan, here of a document that takes the shipped model longer."""

import re

import pytest

from tests.e2e.conftest import running_process
from tests.nlp.prose import planted
from tests.support.calls import HTTP
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import wait_until

LONG = planted(1_500_000, 13).text
"""Different sentences that take many seconds to scan."""


def scan(url, text):
    return HTTP.post(f"{url}/scan", json={"text": text})


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Address of a service whose scans may take a second."""
    settings = {"AI_SERVICE_OPEN": "true", "AI_TIMEOUT_S": "1", "CACHE_SENTENCES": "0"}
    with running_process(tmp_path_factory.mktemp("deadline"), **settings) as process:
        yield process.url


def test_scan_past_the_deadline_is_503_within_seconds_and_names_remedies(url):
    answer = scan(url, LONG)
    assert (answer.status_code, answer.json()["code"]) == (503, "analyzer_timeout")
    for remedy in ("Split", "AI_TIMEOUT_S", "proxy"):
        assert remedy in answer.json()["detail"]
    assert answer.elapsed.total_seconds() < 1 + 10
    assert int(answer.headers["Retry-After"]) > 0


def test_scan_past_the_deadline_leaves_the_queue_empty(url):
    assert scan(url, LONG).status_code == 503
    # on a busy machine, even this one may take more than a second
    wait_until(lambda: scan(url, FLOW_TEXT).status_code == 200)
    metrics = HTTP.get(f"{url}/metrics").text
    assert re.search(r"^riskscan_queue_tokens 0\.0$", metrics, re.MULTILINE)


def test_scan_past_the_deadline_stores_nothing(url):
    account = {"email": "a@corp.local", "password": "correct horse"}
    HTTP.post(f"{url}/api/auth/register", json=account).raise_for_status()
    form = {"username": account["email"], "password": account["password"]}
    token = HTTP.post(f"{url}/api/auth/login", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = HTTP.post(f"{url}/api/scan", json={"text": LONG}, headers=headers)
    assert answer.json()["code"] == "analyzer_timeout"
    assert HTTP.get(f"{url}/api/scans", headers=headers).json()["items"] == []
