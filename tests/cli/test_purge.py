"""`purge` prints what it deletes, or would delete."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from db.tables import WorkSession
from service.domain.files import work_sessions


@pytest.fixture
def _old_session(riskscan, services):
    for name in ("ada", "bob"):
        riskscan("users", "create", f"{name}@corp.local", stdin="long enough\n")
    run = services.transactions.run
    user = services.accounts.log_in("ada@corp.local", "long enough")
    run(work_sessions.create, user.user_id, "Tender", max_sessions=9)
    old = datetime.now(UTC) - timedelta(days=9)
    run(lambda s: s.execute(update(WorkSession).values(created_at=old)))


@pytest.mark.usefixtures("_old_session")
def test_purge_counts_then_deletes(riskscan):
    assert "sessions: 0\n" in riskscan("purge", "--dry-run").stdout
    for option in (["--dry-run"], ["--dry-run", "--user", "ada@corp.local"], []):
        done = riskscan("purge", *option, RETENTION_DAYS="7")
        assert (done.returncode, "sessions: 1\n" in done.stdout) == (0, True)
    assert "sessions: 0\n" in riskscan("purge", RETENTION_DAYS="7").stdout


@pytest.mark.usefixtures("_old_session")
def test_purge_of_another_account_deletes_nothing(riskscan):
    done = riskscan("purge", "--user", "bob@corp.local", RETENTION_DAYS="7")
    assert "sessions: 0\n" in done.stdout
    unknown = riskscan("purge", "--user", "eve@corp.local", RETENTION_DAYS="7")
    assert (unknown.returncode, "No account" in unknown.stderr) == (1, True)
