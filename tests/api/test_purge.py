"""Retention: what the service deletes by itself, what stays, and what the audit trail says of it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from db.tables import File, Scan, WorkSession
from service.domain.audit import Actor
from tests.api.filing import add, content, new_session, paths
from tests.api.reviewing import judge
from tests.support.sentences import FLOW_TEXT

pytestmark = pytest.mark.every_database


@pytest.fixture(scope="module")
def live(database_url, start_service):
    return start_service(DATABASE_URL=database_url, RETENTION_DAYS="30")


@pytest.fixture
def age(live):
    """Make rows of a table look `days` old."""

    def age(table, row_id, days):
        at = datetime.now(UTC) - timedelta(days=days)
        aged = update(table).where(table.id == UUID(row_id)).values(created_at=at)
        live.services.transactions.run(lambda s: s.execute(aged))

    return age


def purged(admin, user):
    query = {"action": "data.purged", "object_id": user.id}
    return admin.http.get("/api/v1/admin/audit-events", params=query).json()["items"]


def upload(user):
    user.http.put("/api/v1/settings", json={"store_original": True}).raise_for_status()
    form = {"file": ("plan.txt", FLOW_TEXT.encode())}
    return user.http.post("/api/v1/scan", files=form).raise_for_status().json()["scan_id"]


def originals(live, user):
    folder = live.services.config.data_dir / "originals" / user.id.replace("-", "")
    return [path.name for path in folder.glob("??/*")]


def test_document_goes_with_the_last_of_its_scans(live, user, age):
    first, second = upload(user), upload(user)
    age(Scan, first, 31)
    live.services.purge.run()
    [left] = user.http.get("/api/v1/scans").json()["items"]
    assert left["scan_id"] == second
    assert (
        len(user.http.get("/api/v1/documents").json()["items"]) == len(originals(live, user)) == 1
    )
    age(Scan, second, 31)
    live.services.purge.run()
    assert user.http.get("/api/v1/documents").json()["items"] == originals(live, user) == []


def test_old_files_go_with_their_bytes_and_their_session_when_it_is_empty(live, user, age):
    session = new_session(user)
    old, recent = add(user, session, data=b"old"), add(user, session, data=b"recent")
    age(File, old.json()["id"], 31)
    age(WorkSession, session.rpartition("/")[2], 31)
    live.services.purge.run()
    assert (content(user, old).status_code, content(user, recent).content) == (404, b"recent")
    age(File, recent.json()["id"], 31)
    live.services.purge.run()
    assert user.http.get(session).status_code == 404
    assert paths(live, user) == []


def test_shorter_retention_of_a_user_wins_and_a_longer_one_does_not(live, user, new_user, age):
    other = new_user()
    for owner, days, scan_age in ((user, 7, 8), (other, 99, 31)):
        scan_id = owner.scan().json()["scan_id"]
        owner.http.put("/api/v1/settings", json={"retention_days": days}).raise_for_status()
        age(Scan, scan_id, scan_age)
    assert live.services.purging.run_tasks()
    assert user.http.get("/api/v1/scans").json()["items"] == []
    assert other.http.get("/api/v1/scans").json()["items"] == []


def test_each_run_leaves_one_event_with_counts_for_each_user(live, user, admin, age):
    for _ in range(3):
        age(Scan, user.scan().json()["scan_id"], 31)
    live.services.purge.run(actor=Actor(operator="cli:root"))
    live.services.purge.run()
    [event] = purged(admin, user)
    assert event["detail"].pop("created_before")
    assert event["detail"] == {
        "operator": "cli:root",
        "scans": 3,
        "documents": 1,
        "originals": 0,
        "files": 0,
        "sessions": 0,
        "batches": 0,
    }
    deleted = {"action": "scan.deleted", "user_id": user.id}
    assert admin.http.get("/api/v1/admin/audit-events", params=deleted).json()["items"] == []


def test_purge_interrupted_half_way_is_completed_by_the_next(live, user, admin, age, monkeypatch):
    monkeypatch.setattr("service.domain.scans.retention.SCANS_AT_ONCE", 1)
    for text in ("The vendor may fail.", "The budget is tight."):
        age(Scan, user.scan(text).json()["scan_id"], 31)
    purge = live.services.purge
    with monkeypatch.context() as patched:
        patched.setattr(live.services.originals, "discard", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            purge.run(UUID(user.id))
    assert len(user.http.get("/api/v1/scans").json()["items"]) == 1
    assert purge.run(UUID(user.id)).scans == 1
    assert user.http.get("/api/v1/scans").json()["items"] == []
    assert [event["detail"]["scans"] for event in purged(admin, user)] == [1, 2]


def test_purge_of_one_user_and_dry_run_leave_the_others(live, user, new_user, age):
    other = new_user()
    for owner in (user, other):
        age(Scan, owner.scan().json()["scan_id"], 31)
    assert live.services.purge.due(UUID(other.id)).scans == 1
    assert live.services.purge.run(UUID(user.id)).scans == 1
    assert len(other.http.get("/api/v1/scans").json()["items"]) == 1


def test_feedback_on_a_purged_scan_goes_with_it(live, user, reviewer, age):
    scan_id = user.scan().json()["scan_id"]
    judge(reviewer, f"/api/v1/scans/{scan_id}", 1).raise_for_status()
    age(Scan, scan_id, 31)
    live.services.purge.run()
    assert reviewer.http.get(f"/api/v1/scans/{scan_id}/feedback").status_code == 404
