"""The database after requests: no readable secrets, nothing half done."""

import hashlib
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine, delete, event, func, select

from db.engines import open_unpooled_engine
from db.tables import AuditEvent, Finding, RefreshToken, Scan, User
from service.nlp.pipeline import ScanPipeline

pytestmark = pytest.mark.every_database


@pytest.fixture
def rows(live):
    """Select from the database of the live service."""
    transactions = live.services.transactions
    return lambda query: transactions.read(lambda session: session.execute(query).all())


@pytest.fixture(scope="module", autouse=True)
def light_passwords():
    """Nothing: these tests need the service's own hashes."""


def test_password_is_stored_as_argon2id_only(user, rows):
    [(stored,)] = rows(select(User.password_hash).where(User.email == user.email))
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
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


@pytest.mark.parametrize("part", ["record", "queries.add_scan"])
def test_scan_of_which_a_part_fails_is_not_stored(user, rows, monkeypatch, part):
    def broken(*_, **__):
        raise RuntimeError("a part is broken")

    monkeypatch.setattr(f"service.domain.scans.storage.{part}", broken)
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
    """Delete a user's account just before its document is inserted; on SQLite before the transaction."""
    engine = open_unpooled_engine(live.services.config.database_url)
    due = []

    def delete_once(_connection, _cursor, statement, *_):
        is_request = threading.current_thread().name.startswith("waitress")
        begins = statement.startswith(("INSERT INTO documents", "BEGIN IMMEDIATE"))
        if due and is_request and begins:
            user_id = due.pop()
            with engine.begin() as other:
                other.execute(delete(User).where(User.id == user_id))

    event.listen(Engine, "before_cursor_execute", delete_once)
    yield lambda user: due.append(uuid.UUID(user.id))
    event.remove(Engine, "before_cursor_execute", delete_once)


def test_scan_of_an_account_deleted_meanwhile_is_unauthenticated(user, delete_account):
    delete_account(user)
    answer = user.scan()
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert "deleted" in answer.json()["detail"]


def test_twins_that_come_at_once_are_stored_once(user, rows):
    headers = {"Idempotency-Key": "twin"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: user.scan(headers=headers), range(4)))
    assert {answer.status_code for answer in answers} == {201}
    [scan_id] = {answer.json()["scan_id"] for answer in answers}
    assert rows(select(func.count()).where(Scan.user_id == uuid.UUID(user.id))) == [(1,)]
    events = select(func.count()).where(AuditEvent.object_id == scan_id)
    assert rows(events) == [(1,)]
