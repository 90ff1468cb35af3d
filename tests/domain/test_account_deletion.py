"""Deletion of an account: what goes, what stays, and what a crash at each moment leaves."""

import io
import subprocess
import sys
from uuid import uuid4

import pytest

from db.queries.audit import list_events
from db.queries.users import has_user
from service.domain.account_deletion import AccountDeletion
from service.domain.audit import Actor
from service.domain.files import work_sessions
from service.domain.files.files import Files, Upload
from service.domain.preferences import Preferences
from service.errors import Conflict, NotFound, StorageUnavailable
from service.nlp.pipeline import Submission
from tests.support.documents import ROOT
from tests.support.waiting import PATIENCE_S

OPERATOR = Actor(operator="cli:root")
DELETE_AND_DIE = """
import os, sys
from pathlib import Path
from uuid import UUID
from db.queries.users import delete_user
from service.config.settings import load
from service.domain.files.files import Files
from service.domain.transactions import Transactions, open_database

transactions = Transactions(open_database(load({"DATABASE_URL": sys.argv[1]}), pool_size=1))
user_id = UUID(sys.argv[3])

def delete_rows():
    if "delete" in sys.argv:
        transactions.run(delete_user, user_id)
    os.kill(os.getpid(), 9)

Files(transactions, Path(sys.argv[2]), quota_bytes=1, max_bytes=1).remove_user(user_id, delete_rows)
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data" / "files"


@pytest.fixture
def files(transactions, folder):
    return Files(transactions, folder, quota_bytes=1_000, max_bytes=1_000)


@pytest.fixture
def deletion(transactions, files, originals, batch_bytes, batch_removal):
    return AccountDeletion(transactions, files, originals, batch_bytes, batch_removal)


def test_deletion_removes_originals(deletion, scans, user, tmp_path):
    keep = Preferences(store_original=True)
    submission = Submission(data=b"A tight budget.", filename="a.txt")
    scan = scans.create(user.id, submission, key=None, preferences=keep).scan
    folder = tmp_path / "originals" / user.id.hex
    assert [path.name for path in folder.glob("??/*")] == [scan.document_sha256]
    deletion.delete(user.id, actor=OPERATOR)
    assert not folder.exists()


@pytest.fixture
def add_file(transactions, files):
    """Store a file of a user in a session of its own."""

    def add(user, data=b"some bytes"):
        session = transactions.run(
            work_sessions.create, user.id, "Tender", max_sessions=9
        ).work_session
        return files.add(user.id, session.id, Upload("a.txt", "text/plain", io.BytesIO(data)))

    return add


@pytest.fixture
def kill_deletion(config, folder):
    """Delete an account in a process that kills itself at that moment: after its commit, or before."""

    def kill(user, *options):
        command = [sys.executable, "-c", DELETE_AND_DIE, config.database_url, folder, user.id.hex]
        done = subprocess.run([*command, *options], cwd=ROOT, timeout=PATIENCE_S, check=False)
        assert done.returncode == -9

    return kill


def test_delete_removes_rows_and_bytes_of_this_account_only(
    deletion, add_user, add_file, files, transactions
):
    user, other = add_user(), add_user()
    gone, kept = add_file(user), add_file(other)
    deletion.delete(user.id, actor=OPERATOR)
    assert not transactions.read(has_user, user.id)
    with pytest.raises(StorageUnavailable):
        files.open(gone)
    assert files.open(files.get(other.id, kept.id)).read() == b"some bytes"


def test_delete_leaves_no_folder(deletion, user, add_file, folder):
    add_file(user)
    deletion.delete(user.id, actor=OPERATOR)
    assert list(folder.iterdir()) == []


def test_delete_is_recorded_without_the_address(deletion, user, transactions):
    deletion.delete(user.id, actor=OPERATOR)
    newest = transactions.read(list_events, limit=1)[0]
    assert (newest.action, newest.object_id) == ("user.deleted", str(user.id))
    assert newest.detail == {"operator": "cli:root"}


def test_delete_records_each_scan_with_its_reason(deletion, user, scan, transactions):
    deletion.delete(user.id, actor=OPERATOR)
    [deleted] = [e for e in transactions.read(list_events, limit=9) if e.object_id == str(scan.id)][
        :1
    ]
    assert (deleted.action, deleted.detail) == ("scan.deleted", {"reason": "account deleted"})


def test_last_administrator_cannot_be_deleted(deletion, add_user, add_file, files):
    admin = add_user("admin")
    file = add_file(admin)
    with pytest.raises(Conflict, match="set-role EMAIL admin"):
        deletion.delete(admin.id, actor=OPERATOR)
    assert files.open(file).read() == b"some bytes"


def test_unknown_address_is_not_found(deletion):
    with pytest.raises(NotFound):
        deletion.delete(uuid4(), actor=OPERATOR)


def test_bytes_of_a_deletion_killed_after_its_commit_are_removed_later(
    kill_deletion, user, add_file, files, folder
):
    add_file(user)
    kill_deletion(user, "delete")
    assert list(folder.rglob("??/*"))
    assert files.finish_removals() == 1
    assert list(folder.iterdir()) == []
    assert files.finish_removals() == 0


def test_deletion_killed_before_its_commit_keeps_the_bytes(
    kill_deletion, user, add_file, files, folder
):
    file = add_file(user)
    kill_deletion(user)
    assert files.finish_removals() == 0
    assert files.open(file).read() == b"some bytes"
    assert not list(folder.rglob("removal"))


def test_bytes_without_account_and_mark_stay(files, folder):
    # They may belong to another database, such as a restored one.
    (folder / ("ab" * 16)).mkdir(parents=True)
    assert files.finish_removals() == 0
    assert [path.name for path in folder.iterdir()] == ["ab" * 16]


def test_upload_that_outlives_its_account_is_refused_and_leaves_nothing_for_long(
    deletion, add_user, add_file, files, folder
):
    user = add_user()
    session_id = add_file(user).work_session_id

    class Slow(io.BytesIO):
        def read(self, n):
            block = super().read(n)
            if not block:
                deletion.delete(user.id, actor=OPERATOR)
            return block

    with pytest.raises(NotFound):
        files.add(user.id, session_id, Upload("b.txt", "text/plain", Slow(b"other bytes")))
    assert files.finish_removals() == 1
    assert list(folder.iterdir()) == []
