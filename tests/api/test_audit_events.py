"""Auditors list, filter and export the audit trail, and keep its seal."""

import csv
import io
import json
from contextlib import closing

import pytest

from db.queries.audit import list_events
from tests.api.conftest import User
from tests.support.calls import caller
from tests.support.waiting import wait_until

pytestmark = pytest.mark.every_database

EVENTS = "/api/v1/admin/audit-events"


@pytest.fixture
def auditor(new_account):
    return new_account("auditor")


def listed(auditor, **query):
    items, query = [], {"per_page": 2, **query}
    while True:
        page = auditor.http.get(EVENTS, params=query).raise_for_status().json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        query["cursor"] = page["next_cursor"]


def exported(auditor, **query):
    answer = auditor.http.get(f"{EVENTS}/export", params=query).raise_for_status()
    assert "attachment" in answer.headers["Content-Disposition"]
    return answer.text


def test_events_are_filtered_by_who_did_what_to_what(auditor, user):
    scan_id = user.scan("The vendor may fail.").json()["scan_id"]
    user.http.delete(f"/api/v1/scans/{scan_id}").raise_for_status()
    of_scan = listed(auditor, object_type="scan", object_id=scan_id)
    assert [event["action"] for event in of_scan] == ["scan.deleted", "scan.created"]
    by_user = listed(auditor, user_id=user.id)
    assert {event["user_id"] for event in by_user} == {user.id}
    assert set(map(str, of_scan)) < set(map(str, by_user))
    deleted = of_scan[0]
    assert listed(auditor, request_id=deleted["request_id"]) == [deleted]
    assert listed(auditor, action="scan.deleted", user_id=user.id) == [deleted]
    since = {"created_from": deleted["created_at"], "user_id": user.id}
    assert deleted in listed(auditor, **since)
    before = {"created_before": deleted["created_at"], "object_id": scan_id}
    assert [event["action"] for event in listed(auditor, **before)] == ["scan.created"]


@pytest.mark.parametrize(
    ("query", "field"),
    [({"action": "flown"}, "action"), ({"user_id": "me"}, "user_id"), ({"who": "me"}, "who")],
)
def test_invalid_filter_names_the_field(auditor, query, field):
    answer = auditor.http.get(EVENTS, params=query)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def test_export_has_the_events_of_the_list_and_is_itself_an_event(auditor, user):
    user.scan("The vendor may fail.")
    query = {"user_id": user.id}
    events = listed(auditor, **query)
    *lines, last = exported(auditor, **query).splitlines()
    assert [json.loads(line) for line in lines] == events
    assert json.loads(last) == {"complete": True, "n_rows": len(events)}
    text, _, last = exported(auditor, format="csv", **query).rpartition("# ")
    assert last == f"complete: {len(events)} rows\r\n"
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [{**row, "detail": json.loads(row["detail"])} for row in rows] == [
        {name: "" if value is None else value for name, value in event.items()}
        | {"n": "" if event["n"] is None else str(event["n"])}
        for event in events
    ]
    assert listed(auditor)[0]["action"] == "audit.exported"


def test_newest_seal_is_signed_and_covers_the_events(auditor, live):
    live.services.audit_seals.seal()
    seal = auditor.http.get(f"{EVENTS}/seal").raise_for_status().json()
    assert seal["last_n"] == max(event["n"] or 0 for event in listed(auditor, per_page=100))
    assert live.services.audit_seals.verify(seal).fault is None


def test_service_seals_new_events_by_itself(start_service, make_user):
    service = start_service(AUDIT_SEAL_EVERY_S="1")
    user = make_user(service)
    wait_until(lambda: service.services.audit_seals.newest() is not None)
    user.scan("The vendor may fail.").raise_for_status()
    seals, read = service.services.audit_seals, service.services.transactions.read
    wait_until(lambda: seals.newest().last_n == len(read(list_events, limit=100)))
    assert seals.verify().fault is None


def test_trail_without_a_seal_has_none_to_keep(start_service):
    service = start_service()
    with closing(caller(service.url)) as http:
        auditor = User(
            http,
            lambda email, word: service.services.accounts.register(email, word, role="auditor"),
        )
        answer = auditor.http.get(f"{EVENTS}/seal")
        auditor.http.close()
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_reads_of_another_persons_data_are_recorded_once(auditor, user, reviewer):
    form = {"file": ("plan.txt", b"The vendor may fail.")}
    scan_id = user.http.post("/api/v1/scan", files=form).json()["scan_id"]
    scan = f"/api/v1/scans/{scan_id}"
    document = f"/api/v1/documents/{user.http.get(scan).json()['document_id']}"
    for reader in (user, reviewer, reviewer):
        for path in (scan, f"{scan}/findings", document, f"{document}/text"):
            reader.http.get(path).raise_for_status()
    reads = listed(auditor, action="foreign.read", user_id=reviewer.id)
    assert [event["object_type"] for event in reads] == ["document", "scan"]
    assert {event["detail"]["owner_id"] for event in reads} == {user.id}
    assert listed(auditor, action="foreign.read", user_id=user.id) == []
