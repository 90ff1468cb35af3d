"""`audit`: seals the audit trail and names the first broken event."""

import json

import pytest
from sqlalchemy import update

from db.tables import AuditEvent


@pytest.fixture
def _trail(riskscan):
    """Two events: the accounts that were created."""
    for name in ("ada", "bob"):
        riskscan("users", "create", f"{name}@corp.local", stdin="long enough\n")


def change(services, n):
    action = update(AuditEvent).where(AuditEvent.n == n).values(action="user.deleted")
    services.transactions.run(lambda s: s.execute(action))


@pytest.mark.usefixtures("_trail")
def test_audit_verify_names_the_first_broken_event(riskscan, services):
    assert json.loads(riskscan("audit", "seal").stdout)["last_n"] == 2
    sound = riskscan("audit", "verify")
    assert (sound.returncode, sound.stdout) == (0, "Events in order: 2\n")
    change(services, 2)
    broken = riskscan("audit", "verify")
    assert (broken.returncode, broken.stdout) == (1, "Events in order: 1\n")
    assert "Event 2 (" in broken.stderr


@pytest.mark.usefixtures("_trail")
def test_audit_verify_compares_with_a_kept_seal(riskscan, tmp_path):
    kept = tmp_path / "seal.json"
    kept.write_text(riskscan("audit", "seal").stdout)
    assert riskscan("audit", "verify", "--seal", kept).returncode == 0
    kept.write_text(kept.read_text().replace('"last_n": 2', '"last_n": 1'))
    altered = riskscan("audit", "verify", "--seal", kept)
    assert (altered.returncode, altered.stdout) == (1, "")
    assert "altered" in altered.stderr
    kept.write_text("no seal")
    assert "is no JSON" in riskscan("audit", "verify", "--seal", kept).stderr


@pytest.mark.usefixtures("_trail")
def test_seal_of_another_key_is_refused_with_the_remedy(riskscan, tmp_path):
    kept = tmp_path / "seal.json"
    kept.write_text(riskscan("audit", "seal").stdout)
    refused = riskscan("audit", "verify", "--seal", kept, SECRET_KEY="x" * 32)
    assert refused.returncode == 1
    assert "Verify it under the SECRET_KEY that the service had" in refused.stderr


def test_audit_seal_without_events_says_so(riskscan):
    result = riskscan("audit", "seal")
    assert result.returncode == 1
    assert "no events yet" in result.stderr
