"""The record of outgoing calls: a row for each, without content, whatever happens to the database."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from db.tables import ApiInteraction
from tests.api.api_interactions import PATH, listed
from tests.db.conftest import mysql
from tests.fakes.chat_server import USAGE
from tests.fakes.loopback import Reply
from tests.support.calls import HTTP
from tests.support.relay import relay_before
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import wait_until

FORCED = {"text": FLOW_TEXT, "force_llm": True}


@pytest.fixture(scope="module")
def live(database_url, start_service, llm):
    """A service with an LLM, on the database under test."""
    llm_settings = {"LLM_BASE_URL": llm.base_url, "LLM_MODEL": "rules", "LLM_API_KEY": "sk-secret"}
    return start_service(DATABASE_URL=database_url, AI_SERVICE_OPEN="true", **llm_settings)


@pytest.mark.every_database
def test_call_of_a_stored_scan_leaves_a_row_with_sizes_tokens_and_scan(user, admin, llm):
    scan_id = user.http.post("/api/scan", json=FORCED).json()["scan_id"]
    [row] = listed(admin, scan_id=scan_id)
    fixed = {name: row[name] for name in ("kind", "host", "status", "error_code", "scan_id")}
    assert fixed == {
        "kind": "llm",
        "host": "127.0.0.1",
        "status": 200,
        "error_code": None,
        "scan_id": scan_id,
    }
    headers, _ = llm.requests[-1]
    assert row["sent_bytes"] == int(headers["Content-Length"])
    assert row["received_bytes"] > 100
    assert row["duration_ms"] > 0
    assert (row["prompt_tokens"], row["completion_tokens"]) == (
        USAGE["prompt_tokens"],
        USAGE["completion_tokens"],
    )


@pytest.mark.every_database
def test_rows_hold_neither_text_nor_key(user, admin):
    scan_id = user.http.post("/api/scan", json=FORCED).json()["scan_id"]
    shown = json.dumps(listed(admin, scan_id=scan_id))
    assert "deadline" not in shown
    assert "sk-secret" not in shown


@pytest.mark.every_database
def test_failed_call_leaves_a_row_with_status_and_error_code(user, admin, llm):
    llm.replies.append(Reply(500, b'{"error": {"message": "no"}}'))
    request_id = "failed-call-" + user.id[:8]
    answer = user.http.post("/api/scan", json=FORCED, headers={"X-Request-ID": request_id})
    assert answer.status_code == 502
    wait_until(lambda: request_id in admin.http.get(PATH).text)
    rows = listed(admin, failed=True, status=500, error_code="analyzer_error")
    [row] = [row for row in rows if row["request_id"] == request_id]
    assert (row["status"], row["error_code"]) == (500, "analyzer_error")
    assert row["prompt_tokens"] is None


def test_call_without_a_stored_scan_leaves_a_row_without_scan(user, admin):
    headers = {"X-Request-ID": "unstored-" + user.id[:8]}
    user.http.post("/scan", json=FORCED, headers=headers).raise_for_status()
    wait_until(lambda: headers["X-Request-ID"] in admin.http.get(PATH).text)
    [row] = [r for r in listed(admin) if r["request_id"] == headers["X-Request-ID"]]
    assert row["scan_id"] is None


def test_scan_by_the_model_leaves_no_row(user, admin):
    scan_id = user.scan().json()["scan_id"]
    forced = user.http.post("/api/scan", json=FORCED).json()["scan_id"]
    assert len(listed(admin, scan_id=forced)) == 1
    assert listed(admin, n=0, scan_id=scan_id) == []


def test_each_request_of_a_long_document_leaves_a_row(user, admin, llm):
    n_before = len(llm.requests)
    text = "\n\n".join(f"The vendor of part {n} may fail." for n in range(70))
    scan_id = user.http.post("/api/scan", json={**FORCED, "text": text}).json()["scan_id"]
    n_requests = len(llm.requests) - n_before
    assert n_requests == 3
    assert len(listed(admin, n=n_requests, scan_id=scan_id)) == n_requests


@pytest.mark.every_database
def test_rows_are_filtered_and_paged_newest_first(user, admin):
    ids = [user.http.post("/api/scan", json=FORCED).json()["scan_id"] for _ in range(3)]
    for scan_id in ids:
        listed(admin, scan_id=scan_id)
    first = admin.http.get(PATH, params={"per_page": 2, "kind": "llm", "host": "127.0.0.1"}).json()
    query = {"per_page": 2, "kind": "llm", "host": "127.0.0.1", "cursor": first["next_cursor"]}
    second = admin.http.get(PATH, params=query).json()
    shown = [row["scan_id"] for page in (first, second) for row in page["items"]]
    assert shown[:3] == ids[::-1]
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for empty in ({"kind": "webhook"}, {"created_from": later}, {"status": 404}, {"host": "x"}):
        assert admin.http.get(PATH, params=empty).json()["items"] == []
    faulty = {"kind": "fax", "status": 1, "failed": "perhaps", "per_page": 0}
    answer = admin.http.get(PATH, params=faulty)
    assert {error["field"] for error in answer.json()["errors"]} == set(faulty)


@pytest.mark.every_database
def test_old_rows_are_deleted_after_the_days_of_the_setting(user, admin, live):
    old, recent = (user.http.post("/api/scan", json=FORCED).json()["scan_id"] for _ in "12")
    [row, _] = [*listed(admin, scan_id=old), *listed(admin, scan_id=recent)]
    long_ago = datetime.now(UTC) - timedelta(days=live.services.config.api_interaction_days + 1)
    aged = update(ApiInteraction).where(ApiInteraction.id == UUID(row["id"]))
    live.services.transactions.run(lambda s: s.execute(aged.values(created_at=long_ago)))
    assert live.services.clean_up.run_tasks()
    assert listed(admin, n=0, scan_id=old) == []
    assert len(listed(admin, scan_id=recent)) == 1


def test_remote_service_leaves_rows_of_its_kind(start_service, live, admin_of):
    admin = admin_of(start_service(AI_SERVICE_URL=live.url))
    scan_id = admin.scan().json()["scan_id"]
    [row] = listed(admin, scan_id=scan_id)
    assert (row["kind"], row["status"], row["prompt_tokens"]) == ("ai_service", 200, None)
    query = {"action": "data.sent", "object_id": scan_id}
    [event] = admin.http.get("/api/v1/admin/audit-events", params=query).json()["items"]
    assert event["detail"] == {
        "kind": "ai_service",
        "host": "127.0.0.1",
        "model": None,
        "masked": False,
        "n_calls": 1,
        "n_sentences": 1,
        "sent_bytes": row["sent_bytes"],
        "prompt_tokens": None,
        "completion_tokens": None,
    }


@mysql
def test_calls_made_while_the_database_is_away_are_stored_when_it_is_back(
    own_database_url, start_service, llm, admin_of
):
    relay = relay_before(own_database_url)
    relay.open()
    llm_settings = {"LLM_BASE_URL": llm.base_url, "LLM_MODEL": "rules"}
    service = start_service(DATABASE_URL=relay.url, AI_SERVICE_OPEN="true", **llm_settings)
    admin = admin_of(service)
    relay.cut()
    for n in range(3):
        headers = {"X-Request-ID": f"while-away-{n}"}
        answer = HTTP.post(f"{service.url}/scan", json=FORCED, headers=headers)
        assert answer.status_code == 200
    relay.open()
    wait_until(lambda: admin.http.get(PATH).status_code == 200)
    ids = [row["request_id"] for row in listed(admin, n=3)]
    assert ids == [f"while-away-{n}" for n in (2, 1, 0)]
    relay.cut()


def test_rows_that_wait_are_stored_when_the_service_stops(
    start_service, database_url, llm, live, admin_of
):
    settings = {"LLM_BASE_URL": llm.base_url, "LLM_MODEL": "rules", "AI_SERVICE_OPEN": "true"}
    stopping = start_service(DATABASE_URL=database_url, **settings)
    headers = {"X-Request-ID": "just-before-the-end"}
    HTTP.post(f"{stopping.url}/scan", json=FORCED, headers=headers).raise_for_status()
    stopping.services.egress.close()
    assert "just-before-the-end" in admin_of(live).http.get(PATH).text
