"""The log of exports: whole ones, and those that were cut off."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
import uuid_utils.compat
from sqlalchemy import insert, update

from db.tables import AuditEvent, ReportLog
from service.domain.accounts import user_admin
from service.domain.audit import Actor
from tests.api.filing import add, new_session
from tests.db.conftest import mysql
from tests.support.relay import relay_before
from tests.support.waiting import wait_until

EVENTS = "/api/v1/admin/audit-events"
REPORTS = "/api/v1/admin/report-logs"


def listed(auditor, **query):
    return auditor.http.get(REPORTS, params=query).raise_for_status().json()["items"]


def add_events(service, n):
    """Store `n` events of 2 kB each."""
    now = datetime.now(UTC)
    plain = {"action": "scan.created", "object_type": "scan", "detail": {"x": "x" * 2000}}
    rows = [{**plain, "id": uuid_utils.compat.uuid7(), "created_at": now} for _ in range(n)]
    service.services.transactions.run(lambda s: s.execute(insert(AuditEvent), rows))


@pytest.fixture
def auditor_of(make_user):
    """Make an auditor of a service that a test started."""

    def make(service):
        user = make_user(service)
        run, actor = service.services.transactions.run, Actor(operator="cli:root")
        run(user_admin.set_role, UUID(user.id), "auditor", actor=actor)
        return user

    return make


@pytest.mark.every_database
def test_export_of_the_trail_is_logged_with_its_filters_rows_and_bytes(new_account, user):
    auditor = new_account("auditor")
    query = {"format": "csv", "user_id": user.id, "action": "user.logged_in"}
    answer = auditor.http.get(f"{EVENTS}/export", params=query)
    [report] = listed(auditor, user_id=auditor.id, kind="audit_trail", outcome="finished")
    assert report["scope"] == {"user_id": user.id, "action": "user.logged_in"}
    assert (report["format"], report["n_rows"]) == ("csv", 1)
    assert report["size_bytes"] == len(answer.content)
    assert report["request_id"] == answer.headers["X-Request-ID"]
    assert report["ended_at"] >= report["created_at"]
    assert listed(auditor, user_id=user.id) == []


@pytest.mark.every_database
def test_export_of_user_data_is_logged(user, admin):
    add(user, new_session(user))
    size_bytes = len(admin.http.get(f"/api/v1/users/{user.id}/data").raise_for_status().content)
    [report] = listed(admin, user_id=admin.id)
    assert (report["kind"], report["scope"]) == ("user_data", {"user_id": user.id})
    assert (report["outcome"], report["size_bytes"]) == ("finished", size_bytes)
    assert report["n_rows"] > 4


@pytest.mark.every_database
def test_export_whose_process_died_counts_as_cut_off_after_a_day(user, admin, live):
    user.http.get("/api/v1/auth/me/data").raise_for_status()
    old = {"outcome": "running", "created_at": datetime.now(UTC) - timedelta(days=2)}
    died = update(ReportLog).where(ReportLog.user_id == UUID(user.id)).values(**old)
    live.services.transactions.run(lambda s: s.execute(died))
    assert live.services.clean_up.run_tasks()
    assert [report["outcome"] for report in listed(admin, user_id=user.id)] == ["cut_off"]


def test_export_is_cut_off_if_the_client_leaves(start_service, auditor_of):
    service = start_service()
    auditor = auditor_of(service)
    add_events(service, 20_000)
    with auditor.http.stream("GET", f"{EVENTS}/export") as answer:
        next(answer.iter_raw())
    wait_until(lambda: [report["outcome"] for report in listed(auditor)] == ["cut_off"])
    [report] = listed(auditor)
    assert report["n_rows"] < 20_000


def read_while_database_leaves(service, auditor, relay, received):
    headers = {"Authorization": auditor.http.headers["Authorization"]}
    url = f"{service.url}{EVENTS}/export"
    with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
        for block in answer.iter_bytes():
            relay.cut()
            received.append(block)


@mysql
def test_export_is_cut_off_if_the_database_is_gone(own_database_url, start_service, auditor_of):
    relay = relay_before(own_database_url)
    relay.open()
    service = start_service(DATABASE_URL=relay.url)
    auditor = auditor_of(service)
    add_events(service, 20_000)
    received = []
    with pytest.raises(httpx.RemoteProtocolError):
        read_while_database_leaves(service, auditor, relay, received)
    assert received
    assert b"complete" not in b"".join(received)
    relay.open()
    wait_until(service.services.clean_up.run_tasks)
    assert [report["outcome"] for report in listed(auditor)] == ["cut_off"]
    relay.cut()
