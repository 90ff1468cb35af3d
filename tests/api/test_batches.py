"""Batches over HTTP: sent as files, archive or session, scanned in the background, cancelled, retried."""

import json
import zipfile
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select, update

from db.queries import batch_queue as queue
from db.tables import BatchItem, WebhookDelivery
from service.domain.limit_storage import LimitStorage
from service.domain.rate_limits import RateLimit
from tests.api.batching import (
    BATCHES,
    archive,
    counts,
    get,
    has_sound_counts,
    items,
    kept_bytes,
    send,
    sent,
    stored,
    texts,
    when,
)
from tests.api.filing import add, new_session
from tests.support.office_files import with_bomb, zipped
from tests.support.sentences import FLOW_TEXT, N_FLOW_FINDINGS
from tests.support.traced_memory import traced
from tests.support.waiting import wait_until

ASYNC = {"Prefer": "respond-async, wait=5"}


def batch_id(batch):
    return UUID(batch.rpartition("/")[2])


@pytest.mark.every_database
def test_files_are_scanned_once_each_and_their_bytes_are_removed(live, user):
    batch = sent(user, texts(5), name="Tender é")
    finished = when(user, batch)
    assert (finished["name"], counts(finished)) == ("Tender é", {"done": 5})
    listed = items(user, batch)
    assert [item["name"] for item in listed] == [f"{k}.txt" for k in range(1, 6)]
    assert {item["n_findings"] for item in listed} == {N_FLOW_FINDINGS}
    scan = user.http.get(f"/api/v1/scans/{listed[2]['scan_id']}").json()
    assert scan["filename"] == "3.txt"
    assert stored(live.services, UUID(user.id)) == 5
    assert has_sound_counts(live.services, batch_id(batch))
    wait_until(lambda: kept_bytes(live.services, user) == [])


@pytest.mark.every_database
def test_batches_are_listed_newest_first_and_items_page_by_page(user):
    batches = [sent(user, texts(3), name=f"b{n}") for n in range(3)]
    page = user.http.get(f"{BATCHES}?per_page=2")
    assert [item["name"] for item in page.json()["items"]] == ["b2", "b1"]
    assert [b["name"] for b in user.http.get(page.links["next"]["url"]).json()["items"]] == ["b0"]
    when(user, batches[0])
    page = user.http.get(f"{batches[0]}/items?per_page=2&state=done")
    assert [item["position"] for item in page.json()["items"]] == [1, 2]
    rest = user.http.get(page.links["next"]["url"]).json()
    assert ([item["position"] for item in rest["items"]], rest["next_after"]) == ([3], None)
    assert items(user, batches[0], state="failed") == []


@pytest.mark.every_database
def test_failed_item_has_its_problem_and_can_be_retried(live, user):
    broken = ("file", ("broken.pdf", b"%PDF-1.7 nothing", "application/pdf"))
    batch = sent(user, [*texts(1), broken])
    assert counts(when(user, batch)) == {"done": 1, "failed": 1}
    [failed] = items(user, batch, state="failed")
    assert (failed["problem"]["code"], failed["scan_id"]) == ("unreadable_document", None)
    assert len(kept_bytes(live.services, user)) == 1
    again = user.http.post(f"{batch}/retry")
    assert (again.status_code, again.json()["n_failed"]) == (202, 0)
    assert counts(when(user, batch)) == {"done": 1, "failed": 1}
    assert has_sound_counts(live.services, batch_id(batch))
    assert stored(live.services, UUID(user.id)) == 1


@pytest.mark.every_database
def test_finished_batch_sends_one_event_to_the_webhooks_of_its_owner(live, user):
    body = {"name": "tickets", "url": "https://tickets.invalid/"}
    hook = user.http.post("/api/v1/webhooks", json=body).raise_for_status().json()["id"]
    batch = when(user, sent(user, texts(3)))
    [sent_event] = user.http.get(f"/api/v1/webhooks/{hook}/deliveries").json()["items"]
    assert sent_event["event"] == "batch.finished"

    def payload(session):
        return session.scalar(
            select(WebhookDelivery.payload).where(WebhookDelivery.webhook_id == UUID(hook))
        )

    data = json.loads(live.services.transactions.read(payload))["data"]
    assert data == {"batch_id": batch["id"], "n_items": 3, "n_done": 3, "n_failed": 0}


def test_session_is_scanned_in_the_order_of_its_file_ids(user):
    session = new_session(user, "Tender")
    ids = [
        add(user, session, f"{n}.txt", f"File {n}. {FLOW_TEXT}".encode()).json()["id"]
        for n in range(3)
    ]
    body = {"session": session.rpartition("/")[2], "file_ids": [ids[2], ids[0]]}
    response = user.http.post(BATCHES, json=body)
    batch = response.headers["Location"]
    assert (response.json()["name"], counts(when(user, batch))) == ("Tender", {"done": 2})
    assert [item["name"] for item in items(user, batch)] == ["2.txt", "0.txt"]


def test_deleted_file_of_a_session_fails_its_item_alone(live, user, no_workers):
    live, user = no_workers
    session = new_session(user)
    gone = add(user, session, "gone.txt", b"The vendor may fail.").headers["Location"]
    add(user, session, "kept.txt", b"The budget is tight.")
    batch = user.http.post(BATCHES, json={"session": session.rpartition("/")[2]}).headers[
        "Location"
    ]
    user.http.delete(gone).raise_for_status()
    run_all(live)
    assert counts(get(user, batch)) == {"done": 1, "failed": 1}
    assert items(user, batch, state="failed")[0]["problem"]["code"] == "not_found"


def test_archive_becomes_one_document_for_each_file(user):
    data = zipped(
        [
            ("plans/", b""),
            ("plans/a.txt", FLOW_TEXT),
            ("b.txt", FLOW_TEXT + " Again."),
            ("__MACOSX/._a.txt", b"\x00"),
        ]
    )
    batch = sent(user, archive(data))
    assert (when(user, batch)["name"], get(user, batch)["n_done"]) == ("papers.zip", 2)
    assert [item["name"] for item in items(user, batch)] == ["plans/a.txt", "b.txt"]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archive_of_an_unusual_compression_is_refused_before_it_takes_memory(user, method):
    data = with_bomb(zipped([("a.txt", FLOW_TEXT)]), method)
    with traced() as memory:
        answer = send(user, archive(data))
    assert (answer.status_code, answer.json()["code"]) == (400, "unreadable_document")
    assert "bomb.xml in the archive is compressed by another method" in answer.json()["detail"]
    assert memory.peak_bytes < 20_000_000


def test_options_of_the_batch_and_settings_of_the_user_apply(user):
    user.http.put("/api/v1/settings", json={"sensitivity": "recall"}).raise_for_status()
    for fields, expected in (({}, "recall"), ({"sensitivity": "precision"}, "precision")):
        batch = sent(user, texts(1), **fields)
        when(user, batch)
        scan_id = items(user, batch)[0]["scan_id"]
        assert user.http.get(f"/api/v1/scans/{scan_id}").json()["sensitivity"] == expected


def test_scan_may_be_deferred_and_its_result_polled(user):
    response = user.http.post("/api/scan", json={"text": FLOW_TEXT}, headers=ASYNC)
    assert (response.status_code, response.headers["Preference-Applied"]) == (202, "respond-async")
    batch = response.headers["Location"]
    assert when(user, batch)["n_done"] == 1
    [item] = items(user, batch)
    assert (item["name"], item["n_findings"]) == (None, N_FLOW_FINDINGS)
    form = {"file": ("plan.txt", FLOW_TEXT.encode())}
    deferred = user.http.post("/api/scan", files=form, headers=ASYNC)
    assert deferred.json()["name"] == "plan.txt"
    when(user, deferred.headers["Location"])


def test_deferred_scan_becomes_the_next_version_of_its_document(user):
    first = user.http.post("/api/scan", json={"text": "The vendor may fail."}).json()["scan_id"]
    document = user.http.get(f"/api/v1/scans/{first}").json()["document_id"]
    body = {"text": FLOW_TEXT, "document": document}
    batch = user.http.post("/api/scan", json=body, headers=ASYNC).headers["Location"]
    when(user, batch)
    assert len(user.http.get(f"/api/v1/documents/{document}").json()["versions"]) == 2


def test_scan_of_a_session_may_be_deferred(user):
    session = new_session(user, "Tender")
    add(user, session, "a.txt", FLOW_TEXT.encode())
    response = user.http.post(f"{session}/scan", json={}, headers=ASYNC)
    assert (response.status_code, response.json()["name"]) == (202, "Tender")
    assert when(user, response.headers["Location"])["n_done"] == 1


@pytest.mark.every_database
def test_repeated_idempotency_key_returns_the_batch_or_conflicts(live, user):
    key = {"Idempotency-Key": "k1"}
    first, again = (send(user, texts(2), headers=key).json()["id"] for _ in range(2))
    assert first == again
    other = send(user, texts(3), headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    when(user, f"{BATCHES}/{first}")
    assert stored(live.services, UUID(user.id)) == 2


@pytest.mark.every_database
@pytest.mark.parametrize("is_deferred", [False, True])
def test_key_of_a_scan_that_is_sent_again_the_other_way_conflicts(user, is_deferred):
    key, scan = {"Idempotency-Key": "k"}, {"json": {"text": FLOW_TEXT}}
    first, second = ({}, ASYNC) if not is_deferred else (ASYNC, {})
    path = user.http.post("/api/scan", **scan, headers=key | first).headers["Location"]
    if is_deferred:
        when(user, path)
    again = user.http.post("/api/scan", **scan, headers=key | second)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert path in again.json()["detail"]
    assert len(user.http.get("/api/scans").json()["items"]) == 1


@pytest.mark.parametrize("is_deferred", [False, True])
def test_key_of_a_session_that_is_sent_again_the_other_way_conflicts(user, is_deferred):
    key, session = {"Idempotency-Key": "k"}, new_session(user, "Tender")
    add(user, session, "a.txt", FLOW_TEXT.encode())
    first, second = ({}, ASYNC) if not is_deferred else (ASYNC, {})
    done = user.http.post(f"{session}/scan", json={}, headers=key | first).raise_for_status()
    if is_deferred:
        when(user, done.headers["Location"])
    again = user.http.post(f"{session}/scan", json={}, headers=key | second)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert len(user.http.get("/api/scans").json()["items"]) == 1


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"json": {}}, "file"),
        ({"json": {"file_ids": [str(UUID(int=0))], "session": str(UUID(int=0)), "x": 1}}, "x"),
        ({"data": {"name": ""}, "files": [("file", ("a.txt", b"a"))]}, "name"),
        ({"data": {"force_llm": "1", "sensitivity": "recall"}, "files": texts(1)}, "force_llm"),
        ({"files": [("other", ("a.txt", b"a"))]}, "other"),
        ({"files": [("file", ("a.txt", b"a")), ("late", (None, "x"))]}, "late"),
        ({"files": [("file", ("a.txt", b"a")), ("other", ("b.txt", b"b"))]}, "other"),
    ],
)
def test_invalid_batch_names_its_fault_and_stores_nothing(live, user, request_, field):
    response = user.http.post(BATCHES, **request_)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")
    assert field in {fault["field"] for fault in response.json()["errors"]}
    assert user.http.get(BATCHES).json()["items"] == kept_bytes(live.services, user) == []


def test_llm_that_is_not_configured_is_refused_at_the_door(user):
    response = send(user, texts(1), force_llm="true")
    assert (response.status_code, response.json()["code"]) == (501, "not_configured")


def test_batch_of_another_user_is_404_and_admins_may_read_it(user, new_user, admin):
    batch, other = sent(user, texts(1)), new_user()
    for method, path in (("GET", ""), ("GET", "/items"), ("POST", "/retry"), ("DELETE", "")):
        assert other.http.request(method, batch + path).status_code == 404
    assert admin.http.get(f"{batch}/items").status_code == 200
    assert admin.http.delete(batch).status_code == 404


# Without workers of its own, a service leaves each step to the test.


@pytest.fixture(scope="module")
def idle(start_service):
    return start_service(BATCH_WORKERS="0", MAX_BATCH_FILES="4", MAX_BATCH_BYTES="5000")


@pytest.fixture
def no_workers(idle, make_user):
    return idle, make_user(idle)


def run_all(service):
    runs = service.services.batch_runs
    while run := runs.claim("test"):
        runs.execute(run)


def test_cancelled_batch_ends_what_waits_and_what_runs(no_workers):
    live, user = no_workers
    batch, runs = sent(user, texts(3)), live.services.batch_runs
    run = runs.claim("test")
    assert counts(get(user, batch)) == {"waiting": 2, "running": 1}
    assert user.http.delete(batch).status_code == 204
    assert counts(get(user, batch)) == {"cancelled": 3}
    runs.execute(run)
    runs.renew([run])
    assert run.ended.is_set()
    assert counts(get(user, batch)) == {"cancelled": 3}
    assert stored(live.services, UUID(user.id)) == 0
    wait_until(lambda: kept_bytes(live.services, user) == [])
    assert user.http.post(f"{batch}/retry").status_code == 409
    assert user.http.delete(batch).status_code == 204
    assert user.http.get(batch).status_code == 404


def test_too_many_or_too_large_documents_are_413_with_the_setting(no_workers):
    live, user = no_workers
    too_many = send(user, texts(5))
    assert (too_many.status_code, too_many.json()["code"]) == (413, "too_large")
    assert "MAX_BATCH_FILES" in too_many.json()["detail"]
    too_large = send(user, [("file", ("a.txt", b"a" * 3000)), ("file", ("b.txt", b"b" * 3000))])
    assert (too_large.status_code, too_large.json()["code"]) == (413, "too_large")
    assert "MAX_BATCH_BYTES" in too_large.json()["detail"]
    assert kept_bytes(live.services, user) == user.http.get(BATCHES).json()["items"] == []


def test_waiting_documents_count_against_the_quota_of_their_user(start_service, make_user):
    live = start_service(BATCH_WORKERS="0", USER_QUOTA_BYTES="1000")
    user = make_user(live)
    batch = sent(user, [("file", ("a.txt", b"The vendor may fail. " * 40))])
    refused = send(user, [("file", ("b.txt", b"The budget is tight. " * 40))])
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
    assert "USER_QUOTA_BYTES" in refused.json()["detail"]
    run_all(live)
    assert get(user, batch)["state"] == "finished"
    sent(user, [("file", ("b.txt", b"The budget is tight. " * 40))])


def test_scan_quota_makes_documents_wait_and_not_fail(start_service, make_user):
    live = start_service(BATCH_WORKERS="0")
    quota = RateLimit("2 per 3 seconds", setting="SCAN_RATE_LIMIT", storage=LimitStorage())
    live.services.scan_quota = quota  # two documents may take longer than a second
    user = make_user(live)
    batch = sent(user, texts(5))
    run_all(live)
    assert counts(get(user, batch)) == {"done": 2, "waiting": 3}
    wait_until(lambda: run_all(live) or get(user, batch)["n_done"] == 5)
    assert [item["attempts"] for item in items(user, batch)] == [1] * 5


def test_document_that_ends_three_workers_fails_with_a_remedy(no_workers):
    live, user = no_workers
    batch, runs = sent(user, texts(1)), live.services.batch_runs
    for _ in range(3):
        assert runs.claim("test")
        expire(live)
        assert runs.release_expired() == 1
    assert runs.claim("test") is None
    [item] = items(user, batch)
    assert (item["state"], item["problem"]["code"]) == ("failed", "worker_lost")
    assert get(user, batch)["state"] == "finished"
    assert user.http.post(f"{batch}/retry").json()["n_waiting"] == 1
    run_all(live)
    assert get(user, batch)["n_done"] == 1


def test_worker_that_renews_an_expired_lease_in_time_keeps_its_item(no_workers, monkeypatch):
    live, user = no_workers
    batch, runs = sent(user, texts(1)), live.services.batch_runs
    run = runs.claim("slow")
    expire(live)
    expired = live.services.transactions.read(queue.list_expired, limit=9)
    runs.renew([run])
    monkeypatch.setattr(queue, "list_expired", lambda *_args, **_kwargs: expired)
    assert runs.release_expired() == 0
    runs.execute(run)
    assert get(user, batch)["n_done"] == 1


def test_worker_whose_lease_has_ended_stores_nothing(no_workers):
    live, user = no_workers
    batch, runs = sent(user, texts(1)), live.services.batch_runs
    slow = runs.claim("slow")
    expire(live)
    runs.release_expired()
    fast = runs.claim("fast")
    runs.execute(slow)
    assert counts(get(user, batch)) == {"running": 1}
    runs.execute(fast)
    runs.execute(slow)
    assert (get(user, batch)["n_done"], stored(live.services, UUID(user.id))) == (1, 1)


def expire(live):
    """Let all leases end now."""

    def end(session):
        past = datetime(2026, 1, 1, tzinfo=UTC)
        session.execute(
            update(BatchItem).where(BatchItem.state == "running").values(lease_until=past)
        )

    live.services.transactions.run(end)
