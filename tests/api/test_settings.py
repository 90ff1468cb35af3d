"""A user's own settings, and scans that follow them where the request is silent."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from db.tables import Scan
from tests.support.calls import caller
from tests.support.sentences import FLOW_TEXT
from tests.support.statements import recorded_statements

pytestmark = pytest.mark.every_database

SETTINGS = "/api/v1/settings"
DEFAULTS = {
    "sensitivity": "balanced",
    "force_llm": False,
    "thresholds": {},
    "retention_days": None,
    "store_text": "full",
    "store_original": False,
}


def choose(user, **settings):
    return user.http.put(SETTINGS, json=settings).raise_for_status().json()


def stored_scan(user, **body):
    scan_id = user.http.post("/api/scan", json={"text": FLOW_TEXT, **body}).json()["scan_id"]
    return user.http.get(f"/api/scans/{scan_id}").json()


def test_settings_of_a_new_user_are_the_defaults(user):
    assert user.http.get(SETTINGS).json() == DEFAULTS


def test_put_replaces_all_settings_and_get_returns_them(user, new_user):
    own = {
        "sensitivity": "recall",
        "force_llm": False,
        "thresholds": {"budget": 0.5, "schedule": 1.0},
        "retention_days": 30,
        "store_text": "none",
        "store_original": True,
    }
    assert choose(user, **own) == user.http.get(SETTINGS).json() == own
    assert choose(user, retention_days=7) == {**DEFAULTS, "retention_days": 7}
    assert new_user().http.get(SETTINGS).json() == DEFAULTS


def test_patch_changes_the_named_settings_and_keeps_the_others(user):
    private = {"store_text": "hash", "retention_days": 30, "thresholds": {"budget": 0.5}}
    own = choose(user, **private)
    answer = user.http.patch(SETTINGS, json={"sensitivity": "recall"}).raise_for_status()
    assert answer.json() == user.http.get(SETTINGS).json() == {**own, "sensitivity": "recall"}
    changes = {"retention_days": None, "thresholds": {}, "store_original": True}
    changed = user.http.patch(SETTINGS, json=changes).raise_for_status().json()
    assert changed == {**own, "sensitivity": "recall", **changes}
    assert user.http.patch(SETTINGS, json={}).json() == changed


def test_patch_of_a_user_without_settings_keeps_the_defaults(user):
    changed = user.http.patch(SETTINGS, json={"store_text": "none"}).raise_for_status().json()
    assert changed == {**DEFAULTS, "store_text": "none"}


@pytest.mark.parametrize(
    "body", [{"store_text": "all"}, {"colour": "blue"}, {"force_llm": True}, {"store_text": None}]
)
def test_faulty_patch_changes_nothing(user, body):
    own = choose(user, store_text="hash")
    answer = user.http.patch(SETTINGS, json=body)
    assert [fault["field"] for fault in answer.json()["errors"]] == list(body)
    assert (answer.status_code, user.http.get(SETTINGS).json()) == (400, own)


def test_patch_without_a_body_is_refused(user):
    answer = user.http.patch(SETTINGS)
    assert answer.status_code == 400
    assert "{} changes nothing" in answer.json()["detail"]


def test_patch_of_settings_that_changed_meanwhile_is_refused(user):
    seen = user.http.get(SETTINGS).headers["ETag"]
    first, late = (
        user.http.patch(SETTINGS, json={"retention_days": days}, headers={"If-Match": seen})
        for days in (7, 8)
    )
    assert (first.status_code, late.status_code) == (200, 412)
    assert user.http.get(SETTINGS).headers["ETag"] == first.headers["ETag"]


def test_put_without_a_body_changes_nothing(user):
    own = choose(user, sensitivity="recall")
    answer = user.http.put(SETTINGS)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "{} sets all defaults" in answer.json()["detail"]
    assert user.http.get(SETTINGS).json() == own


def test_settings_faults_are_listed_at_once_and_change_nothing(user):
    faulty = {
        "sensitivity": "some",
        "force_llm": True,
        "thresholds": {"budget": 1.1},
        "retention_days": 0,
        "store_text": "all",
        "colour": "blue",
    }
    answer = user.http.put(SETTINGS, json=faulty)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert {e["field"].split(".")[0] for e in answer.json()["errors"]} == set(faulty)
    assert user.http.get(SETTINGS).json() == DEFAULTS


@pytest.mark.parametrize("scores", [{"budget": -0.1}, {"weather": 0.5}, {"Budget": 0, "budget": 0}])
def test_thresholds_out_of_bounds_unknown_or_twice_are_faults(user, scores):
    answer = user.http.put(SETTINGS, json={"thresholds": scores})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].startswith("thresholds")


def test_retention_of_part_of_a_day_is_a_fault(user):
    answer = user.http.put(SETTINGS, json={"retention_days": 1.5})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "retention_days")
    assert user.http.get(SETTINGS).json() == DEFAULTS


def test_thresholds_accept_titles_of_categories(user):
    assert choose(user, thresholds={"SECURITY AND PRIVACY": 0})["thresholds"] == {"security": 0.0}


def test_scan_uses_the_default_sensitivity_unless_the_request_names_one(user):
    choose(user, sensitivity="recall")
    assert stored_scan(user)["sensitivity"] == "recall"
    assert stored_scan(user, sensitivity="precision")["sensitivity"] == "precision"


def test_findings_below_the_threshold_of_their_category_are_not_reported(user):
    assert {item["category"] for item in stored_scan(user)["data"]} == {"Budget", "Schedule"}
    choose(user, thresholds={"budget": 1})
    scan = stored_scan(user)
    assert {item["category"] for item in scan["data"]} == {"Schedule"}
    assert (scan["n_findings"], scan["coverage"]["hidden_findings"]) == (1, 1)
    [finding] = user.http.get(f"/api/v1/scans/{scan['scan_id']}/findings").json()["items"]
    assert finding["category"] == "schedule"
    unstored = user.http.post("/scan", json={"text": FLOW_TEXT}).json()
    assert {item["category"] for item in unstored["data"]} == {"Schedule"}


def test_text_is_stored_as_far_as_the_user_wants(user):
    choose(user, store_text="none")
    document = user.http.get(f"/api/v1/documents/{stored_scan(user)['document_id']}").json()
    assert document["text_stored"] == "none"
    choose(user)
    document = user.http.get(f"/api/v1/documents/{stored_scan(user)['document_id']}").json()
    assert document["text_stored"] == "full"


def test_repeated_request_returns_the_stored_scan_after_a_change_of_settings(user):
    headers = {"Idempotency-Key": "once"}
    first = user.scan(headers=headers).json()
    choose(user, sensitivity="recall", thresholds={"budget": 1})
    assert user.scan(headers=headers).json() == first


def test_key_scans_with_the_settings_of_its_account(user):
    choose(user, thresholds={"budget": 1})
    body = {"name": "ci", "scopes": ["scan"]}
    key = user.http.post("/api/v1/auth/keys", json=body).json()["key"]
    scan = user.client.post("/scan", json={"text": FLOW_TEXT}, headers={"X-API-Key": key})
    assert {item["category"] for item in scan.json()["data"]} == {"Schedule"}


def test_old_scans_are_deleted_after_the_retention_of_their_user(user, new_user, live):
    other = new_user()
    old, recent, others = stored_scan(user), stored_scan(user), stored_scan(other)
    choose(user, retention_days=30)
    choose(other, retention_days=32)
    long_ago = datetime.now(UTC) - timedelta(days=31)
    ids = [UUID(scan["scan_id"]) for scan in (old, others)]
    aged = update(Scan).where(Scan.id.in_(ids)).values(created_at=long_ago)
    live.services.transactions.run(lambda s: s.execute(aged))
    assert live.services.purging.run_tasks()
    assert [s["scan_id"] for s in user.http.get("/api/scans").json()["items"]] == [
        recent["scan_id"]
    ]
    assert [s["scan_id"] for s in other.http.get("/api/scans").json()["items"]] == [
        others["scan_id"]
    ]


def test_scan_needs_no_query_for_the_settings(user):
    choose(user, sensitivity="recall")
    user.scan()  # its use of the log-in is stored now
    with recorded_statements() as sent:
        user.scan()
    reads = [s for s, _ in sent if s.lstrip().upper().startswith("SELECT")]
    assert len([s for s in reads if "user_settings" in s]) == 1
    assert len([s for s in reads if " logins" in s or "users" in s]) == 1


def test_default_force_llm_asks_the_llm_unless_the_request_asks_for_the_model(start_service, llm):
    service = start_service(LLM_BASE_URL=llm.base_url, LLM_MODEL="rules")
    account = {"email": "a@corp.local", "password": "long enough"}
    with caller(service.url) as http:
        http.post("/api/auth/register", json=account).raise_for_status()
        token = http.post("/api/auth/login", json=account).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        body = {"force_llm": True, "sensitivity": "recall"}
        http.put(SETTINGS, json=body).raise_for_status()
        bodies = ({}, {"force_llm": False}, {"sensitivity": "precision"})
        scans = [http.post("/api/scan", json={"text": FLOW_TEXT, **body}).json() for body in bodies]
    assert [scan["source"] for scan in scans] == ["llm", "model", "model"]
