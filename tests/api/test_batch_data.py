"""What becomes of batches in the export, the retention, the backup and the deletion of an account."""

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from db.queries.files import used_bytes
from db.tables import Batch, BatchItem
from service.domain.audit import Actor
from service.domain.backup import Backup
from service.domain.batch_bytes import BatchRows
from service.domain.batch_intake import BatchOptions, NewItem
from service.domain.files.verification import Verification
from service.domain.restore import Restore
from tests.api.batching import BATCHES, get, items, kept_bytes, sent, texts
from tests.api.test_batches import run_all
from tests.support.databases import fresh_database
from tests.support.waiting import wait_until

OPERATOR = Actor(operator="cli:root")
pytestmark = pytest.mark.every_database


@pytest.fixture(scope="module")
def live(database_url, start_service):
    """A service that leaves the documents to the test, and deletes old batches."""
    return start_service(DATABASE_URL=database_url, BATCH_WORKERS="0", RETENTION_DAYS="30")


def n_rows(live, user):
    def count(session):
        return [
            session.scalar(select(func.count()).where(table.user_id == UUID(user.id)))
            for table in (Batch, BatchItem)
        ]

    return live.services.transactions.read(count)


def test_export_has_batches_items_and_the_bytes_of_waiting_ones(user):
    batch = sent(user, texts(2), name="Tender")
    opened = zipfile.ZipFile(io.BytesIO(user.http.get("/api/v1/auth/me/data").content))
    [row] = map(json.loads, opened.read("batches.jsonl").splitlines())
    assert (row["name"], row["n_waiting"]) == ("Tender", 2)
    rows = [json.loads(line) for line in opened.read("batch_items.jsonl").splitlines()]
    assert [opened.read(f"batches/{row['id']}.txt")[:10] for row in rows] == [
        b"Document 1",
        b"Document 2",
    ]
    user.http.delete(batch).raise_for_status()


def test_retention_deletes_old_batches_that_have_ended(live, user):
    broken = [("file", ("a.pdf", b"%PDF-1.7 nothing"))]
    done, waiting = sent(user, broken), None
    run_all(live)
    waiting = sent(user, texts(1))
    age(live, user)
    live.services.purge.run(UUID(user.id))
    assert user.http.get(done).status_code == 404
    assert get(user, waiting)["n_waiting"] == 1
    assert len(kept_bytes(live.services, user)) == 1
    user.http.delete(waiting).raise_for_status()


def age(live, user):
    at = datetime.now(UTC) - timedelta(days=31)
    aged = update(Batch).where(Batch.user_id == UUID(user.id)).values(created_at=at)
    live.services.transactions.run(lambda s: s.execute(aged))


def test_deleted_account_leaves_neither_rows_nor_bytes(live, user):
    sent(user, texts(3))
    run = live.services.batch_runs.claim("test")
    body = {"password": user.password}
    assert user.http.request("DELETE", "/api/v1/auth/me", json=body).status_code == 204
    live.services.batch_runs.execute(run)
    assert n_rows(live, user) == [0, 0]
    assert not [*live.services.config.data_dir.rglob(user.id.replace("-", ""))]


def test_backup_restores_waiting_documents_which_are_then_scanned(
    live, user, start_service, tmp_path
):
    batch = sent(user, texts(2))
    services, path = live.services, tmp_path / "backup.tar"
    stores = {"f": services.files, "o": services.originals, "b": services.batch_bytes}
    with path.open("wb") as file:
        backup = Backup(services.signing_config, services.transactions, stores)
        assert backup.write(file, actor=OPERATOR).n_lost == 0
    user.http.delete(batch).raise_for_status()
    with fresh_database("sqlite", tmp_path) as url:
        config = services.config.model_copy(
            update={"database_url": url, "data_dir": tmp_path / "restored"}
        )
        restored = start_service(DATABASE_URL=url, BATCH_WORKERS="0", DATA_DIR=str(config.data_dir))
        parts = restored.services
        stores = {"f": parts.files, "o": parts.originals, "b": parts.batch_bytes}
        Restore(path, config, stores).run(replace=True)
        run_all(restored)
        own = parts.transactions.read(
            lambda s: [*s.scalars(select(Batch).where(Batch.user_id == UUID(user.id)))]
        )
        assert [(row.state, row.n_done) for row in own if row.id == UUID(batch[-36:])] == [
            ("finished", 2)
        ]


def test_batch_whose_upload_was_cut_off_is_invisible_and_cleaned_up(live, user):
    intake, user_id = live.services.batch_intake, UUID(user.id)
    lost = intake._begin(user_id, BatchOptions("lost"))  # noqa: SLF001 - what a crash leaves
    item = NewItem("a.txt", "text/plain", io.BytesIO(b"The vendor may fail."))
    from service.domain.batch_intake import _Received  # noqa: PLC0415

    intake._store_some(user_id, lost, iter([item]), _Received(intake._limits))  # noqa: SLF001
    assert user.http.get(BATCHES).json()["items"] == []
    assert user.http.get(f"{BATCHES}/{lost}").status_code == 404
    assert live.services.batch_runs.claim("test") is None
    age(live, user)
    assert live.services.clean_up.run_tasks()
    assert (n_rows(live, user), kept_bytes(live.services, user)) == ([0, 0], [])


def test_lost_bytes_are_found_and_fail_their_item_with_a_remedy(live, user):
    batch = sent(user, texts(1))
    folder = live.services.config.data_dir / "batches"
    [path] = (folder / user.id.replace("-", "")).glob("??/*")
    path.unlink()
    check = Verification(
        live.services.transactions, folder, BatchRows(), repair=True, actor=OPERATOR
    )
    assert [finding.fault for finding in check.run()] == ["row without bytes"]
    run_all(live)
    [item] = items(user, batch)
    assert "Send it again" in item["problem"]["detail"]


def test_cancelled_batch_keeps_no_bytes_of_its_failed_items(live, user):
    batch = sent(user, [("file", ("a.pdf", b"%PDF-1.7 nothing")), *texts(1)])
    live.services.batch_runs.execute(live.services.batch_runs.claim("test"))
    assert (get(user, batch)["n_failed"], len(kept_bytes(live.services, user))) == (1, 2)
    user.http.delete(batch).raise_for_status()
    wait_until(lambda: live.services.transactions.read(used_bytes, UUID(user.id)) == 0)
    assert kept_bytes(live.services, user) == []


def test_documents_of_ended_items_that_a_crash_left_are_removed(live, user, monkeypatch):
    batch = sent(user, texts(2))
    with monkeypatch.context() as patched:
        patched.setattr(live.services.batch_bytes, "discard", lambda *_: 0)
        run_all(live)
    assert (get(user, batch)["n_done"], len(kept_bytes(live.services, user))) == (2, 2)
    assert live.services.batch_clearing.run_tasks()
    assert kept_bytes(live.services, user) == []
