"""What lies in the database after requests: nothing readable that should not be, nothing half done."""

import hashlib
import uuid

import pytest
from sqlalchemy import func, select

from db.models import AuditEvent, Finding, RefreshToken, Scan, User
from service import scans
from service.context import EXTENSION


@pytest.fixture
def rows(live):
    """Select from the database of the live service."""
    store = live.app.extensions[EXTENSION].store
    return lambda query: store.transaction(lambda session: session.execute(query).all())


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


def test_scan_whose_audit_event_fails_is_not_stored(user, rows, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("the trail is broken")

    monkeypatch.setattr(scans, "record", broken)
    assert user.scan().status_code == 500
    assert rows(select(func.count()).where(Scan.user_id == uuid.UUID(user.id))) == [(0,)]
