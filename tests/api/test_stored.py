"""The database after requests: no readable secrets, nothing half done."""

import hashlib
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Engine, delete, event, func, select

from db.engines import BEGIN_IMMEDIATE, open_unpooled_engine
from db.tables import AuditEvent, Finding, RefreshToken, Scan, User
from service.domain.scans import scans
from service.nlp.pipeline import ScanPipeline
from tests.support.waiting import wait_until

pytestmark = pytest.mark.every_database


@pytest.fixture
def rows(live):
    """Select from the database of the live service."""
    transactions = live.services.transactions
    return lambda query: transactions.run(lambda session: session.execute(query).all())


def test_password_is_stored_as_argon2id_only(user, rows):
    [(stored,)] = rows(select(User.password_hash).where(User.email == user.email))
    assert stored.startswith("$argon2id$")
    assert user.password not in stored


def test_refresh_token_is_stored_as_a_hash_only(user, rows):
    stored = {row[0] for row in rows(select(RefreshToken.token_hash))}
    assert user.tokens["refresh_token"] not in stored
    random_part = user.tokens["refresh_token"].rsplit(".", 1)[0]
    assert hashlib.sha256(random_part.encode()).hexdigest() in stored


def test_scan_id_is_a_uuid_of_version_7(user):
    assert uuid.UUID(user.scan().json()["scan_id"]).version == 7


def test_scan_its_findings_and_its_audit_event_are_stored_together(user, rows):
    scan_id = uuid.UUID(user.scan().json()["scan_id"])
    assert rows(select(func.count()).where(Finding.scan_id == scan_id)) == [(2,)]
    actions = rows(select(AuditEvent.action).where(AuditEvent.object_id == str(scan_id)))
    assert actions == [("scan.created",)]


@pytest.mark.parametrize("part", ["record", "queries.add_scans"])
def test_scan_of_which_a_part_fails_is_not_stored(user, rows, monkeypatch, part):
    def broken(*_, **__):
        raise RuntimeError("a part is broken")

    monkeypatch.setattr(f"service.domain.scans.scans.{part}", broken)
    assert user.scan().status_code == 500
    user_id = uuid.UUID(user.id)
    assert rows(select(func.count()).where(Scan.user_id == user_id)) == [(0,)]
    created = (AuditEvent.user_id == user_id, AuditEvent.action == "scan.created")
    assert rows(select(func.count()).where(*created)) == [(0,)]


def test_scan_that_a_check_refuses_is_an_internal_error(user, monkeypatch):
    scan = ScanPipeline.scan

    def scan_from_an_unknown_source(*args):
        result = scan(*args)
        return replace(result, analysis=replace(result.analysis, source="rules"))

    monkeypatch.setattr(ScanPipeline, "scan", scan_from_an_unknown_source)
    answer = user.scan()
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")


@pytest.fixture
def delete_account(live):
    """Delete a user's account just before the first INSERT into a table."""
    engine = open_unpooled_engine(live.services.config.database_url)
    due = {}

    def delete_once(_connection, _cursor, statement, *_):
        if user_id := due.pop(statement.split(" (")[0], None):
            with engine.begin() as other:
                other.execute(delete(User).where(User.id == user_id))

    event.listen(Engine, "before_cursor_execute", delete_once)
    yield lambda user, table: due.update({f"INSERT INTO {table}": uuid.UUID(user.id)})
    event.remove(Engine, "before_cursor_execute", delete_once)


def test_scan_of_an_account_deleted_meanwhile_is_unauthenticated(user, delete_account):
    delete_account(user, "scans")
    answer = user.scan()
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert "deleted" in answer.json()["detail"]


@pytest.fixture
def writers():
    """The threads of this process that have begun to write scans."""
    begun = set()

    def keep(_connection, _cursor, statement, *_):
        if statement.startswith("INSERT INTO scans "):
            begun.add(threading.get_ident())

    event.listen(Engine, "before_cursor_execute", keep)
    yield begun
    event.remove(Engine, "before_cursor_execute", keep)


@contextmanager
def held_up(live):
    """Keep scans from being stored by a transaction that holds the users' rows, or all of SQLite."""
    engine = open_unpooled_engine(live.services.config.database_url)
    with engine.connect() as connection:
        connection.execution_options(**{BEGIN_IMMEDIATE: True})
        connection.execute(select(User.id).with_for_update())
        yield
        connection.rollback()


@pytest.fixture
def scan_at_once(live, user):
    """Send a scan, and while that is held up one with each of the given headers; `then` do something.

    Returns all answers.
    """
    user_id, stored = uuid.UUID(user.id), live.services.scans

    def send(*headers, then=lambda: None):
        with ThreadPoolExecutor(len(headers) + 1) as pool:
            with held_up(live):
                answers = [pool.submit(user.scan)]
                wait_until(lambda: stored.n_waiting(user_id) == 0)
                answers += [pool.submit(user.scan, headers=more) for more in headers]
                wait_until(lambda: stored.n_waiting(user_id) == len(headers))
                then()
            return [answer.result().raise_for_status().json() for answer in answers]

    return send


def test_scans_ready_at_once_are_stored_in_one_transaction(user, scan_at_once, rows):
    names = [{"X-Request-ID": f"at-once-{n}"} for n in range(5)]
    ids = [uuid.UUID(answer["scan_id"]) for answer in scan_at_once(*names)]
    assert user.http.get("/api/scans").json()["total"] == 6
    for scan_id in ids:
        assert rows(select(func.count()).where(Finding.scan_id == scan_id)) == [(2,)]
    kept = select(AuditEvent.object_id, AuditEvent.request_id, AuditEvent.created_at)
    created = (AuditEvent.action == "scan.created", AuditEvent.user_id == uuid.UUID(user.id))
    events = {scan_id: event for scan_id, *event in rows(kept.where(*created))}
    assert [events[str(i)][0] for i in ids[1:]] == [n["X-Request-ID"] for n in names]
    assert (
        len({made_at for _, made_at in events.values()}) == 2
    )  # a transaction's events share one time


def test_scans_whose_commit_has_no_answer_are_stored_once(user, scan_at_once, lose_answers):
    answers = scan_at_once({}, {}, {}, then=lose_answers)
    assert len({answer["scan_id"] for answer in answers}) == 4
    assert user.http.get("/api/scans").json()["total"] == 4


def test_twins_that_come_at_once_with_others_are_stored_once(user, scan_at_once):
    twin = {"Idempotency-Key": "twin"}
    answers = scan_at_once(twin, {}, twin, {"Idempotency-Key": "other"})
    ids = [answer["scan_id"] for answer in answers]
    assert ids[1] == ids[3]
    assert len(set(ids)) == 4
    assert user.http.get("/api/scans").json()["total"] == 4


def test_scan_of_many_findings_keeps_no_other_waiting(user, live, writers, monkeypatch):
    monkeypatch.setattr(scans, "SHARED_FINDINGS", 1)
    with ThreadPoolExecutor(2) as pool:
        with held_up(live):
            answers = [pool.submit(user.scan) for _ in range(2)]
            wait_until(lambda: len(writers) == 2)
        assert [answer.result().status_code for answer in answers] == [201, 201]
