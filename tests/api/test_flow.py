"""The flow of the contract, as written, with curl."""

import json
import subprocess

import pytest

pytestmark = pytest.mark.every_database


def curl(*arguments):
    done = subprocess.run(
        ["curl", "-s", "-w", "\n%{http_code}", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    body, status = done.stdout.rsplit("\n", 1)
    return int(status), json.loads(body)


@pytest.fixture
def token(live, user):
    form = f"username={user.email}&password={user.password}"
    status, answer = curl("-X", "POST", f"{live.url}/api/auth/login", "-d", form)
    assert (status, answer["token_type"], answer["expires_in"]) == (200, "bearer", 1800)
    return answer["access_token"]


def test_register_with_curl_creates_the_account(live):
    body = json.dumps({"email": f"{id(live)}@test.com", "password": "test123"})
    json_type = ("-H", "Content-Type: application/json")
    status, answer = curl("-X", "POST", f"{live.url}/api/auth/register", *json_type, "-d", body)
    assert (status, answer["role"]) == (201, "user")


def test_scan_with_curl_yields_budget_and_schedule(live, token):
    authorized = ("-H", f"Authorization: Bearer {token}")
    text = "text=Project has tight budget and aggressive deadline"
    status, scan = curl("-X", "POST", f"{live.url}/api/scan", *authorized, "-F", text)
    assert status == 201
    assert set(scan) == {"scan_id", "data", "source", "timestamp"}
    assert scan["source"] == "model"
    assert sorted(item["category"] for item in scan["data"]) == ["Budget", "Schedule"]
    assert {item["context"] for item in scan["data"]} == {text.removeprefix("text=")}
    assert all(set(item) == {"risk", "category", "context"} for item in scan["data"])


def test_stored_scan_with_curl_is_returned(live, token):
    authorized = ("-H", f"Authorization: Bearer {token}")
    _, scan = curl(
        "-X", "POST", f"{live.url}/api/scan", *authorized, "-F", "text=The vendor may fail."
    )
    status, stored = curl(f"{live.url}/api/scans/{scan['scan_id']}", *authorized)
    assert status == 200
    assert {key: stored[key] for key in scan} == scan
