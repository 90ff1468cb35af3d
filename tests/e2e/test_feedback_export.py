"""`python -m service feedback export` as a process, beside a running service."""

import json

import pytest

from tests.support.calls import HTTP, caller
from tests.support.sentences import FLOW_TEXT

STATUSES = [
    *("adjudicated: 0", "agreed: 0", "single: 1", "disputed: 0", "partial: 0"),
    "unverified: 1 (omitted)",
]
INVENTED = {"start": 0, "end": 7, "context": "Made up", "risk_types": ["outage"]}


@pytest.fixture
def reviewed_scan(start):
    """Id of a scan whose owner rejected both findings and reported a sentence that is not in it."""
    url = start().url
    account = {"email": "a@corp.local", "password": "long enough"}
    HTTP.post(f"{url}/api/auth/register", json=account).raise_for_status()
    form = {"username": account["email"], "password": account["password"]}
    token = HTTP.post(f"{url}/api/auth/login", data=form).json()["access_token"]
    with caller(url, headers={"Authorization": f"Bearer {token}"}) as http:
        scan_id = http.post("/api/scan", json={"text": FLOW_TEXT}).json()["scan_id"]
        for n in (1, 2):
            path = f"/api/scans/{scan_id}/findings/{n}/feedback"
            http.put(path, json={"verdict": "rejected"}).raise_for_status()
        http.post(f"/api/scans/{scan_id}/feedback", json=INVENTED).raise_for_status()
    return scan_id


def test_feedback_export_beside_a_running_service_writes_its_reviews(
    riskscan, reviewed_scan, tmp_path
):
    out = tmp_path / "feedback.jsonl"
    done = riskscan("feedback", "export", "--out", out)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    *statuses, database = done.stderr.splitlines()
    assert (statuses, database.split()[:2]) == (STATUSES, ["Exported", "from"])
    [line] = map(json.loads, out.read_text().splitlines())
    assert (line["text"], line["labels"], line["status"]) == (FLOW_TEXT, [], "single")
    assert line["provenance"]["scan_id"] == reviewed_scan
    assert out.stat().st_mode & 0o777 == 0o600
    printed = riskscan("feedback", "export")
    assert printed.stdout == out.read_text()
    assert riskscan("feedback", "export", "--since", "2999-01-01").stdout == ""
