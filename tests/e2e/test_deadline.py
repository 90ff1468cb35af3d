"""AI_TIMEOUT_S holds for a whole scan: a long document takes the shipped model longer than that."""

import re

from tests.nlp.prose import planted
from tests.support.calls import HTTP
from tests.support.sentences import FLOW_TEXT

LONG = planted(1_500_000, 13).text
"""Different sentences, for many seconds of work."""


def scan(url, text):
    return HTTP.post(f"{url}/scan", json={"text": text})


def test_scan_past_the_deadline_is_refused_with_the_remedies_soon_after(start):
    answer = scan(start(AI_SERVICE_OPEN="true", AI_TIMEOUT_S="1").url, LONG)
    assert (answer.status_code, answer.json()["code"]) == (503, "analyzer_timeout")
    for remedy in ("Split", "AI_TIMEOUT_S", "proxy"):
        assert remedy in answer.json()["detail"]
    assert answer.elapsed.total_seconds() < 1 + 10
    assert int(answer.headers["Retry-After"]) > 0


def test_scan_past_the_deadline_leaves_no_work_behind(start):
    url = start(AI_SERVICE_OPEN="true", AI_TIMEOUT_S="2").url
    assert scan(url, LONG).status_code == 503
    assert scan(url, FLOW_TEXT).status_code == 200
    metrics = HTTP.get(f"{url}/metrics").text
    assert re.search(r"^riskscan_queue_tokens 0\.0$", metrics, re.MULTILINE)


def test_scan_past_the_deadline_stores_nothing(start):
    url = start(AI_TIMEOUT_S="1").url
    account = {"email": "a@corp.local", "password": "correct horse"}
    HTTP.post(f"{url}/api/auth/register", json=account).raise_for_status()
    form = {"username": account["email"], "password": account["password"]}
    token = HTTP.post(f"{url}/api/auth/login", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    answer = HTTP.post(f"{url}/api/scan", json={"text": LONG}, headers=headers)
    assert answer.json()["code"] == "analyzer_timeout"
    assert HTTP.get(f"{url}/api/scans", headers=headers).json()["items"] == []


def test_scan_on_the_command_line_has_a_timeout_of_its_own(riskscan):
    done = riskscan("scan", "--timeout", "0.5", "-", stdin=LONG, AI_TIMEOUT_S="60")
    assert done.returncode == 1
    assert "did not end within 0.5 s" in done.stderr
    assert "--timeout" in done.stderr
