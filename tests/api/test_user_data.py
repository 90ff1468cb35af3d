"""The export of all data of a user."""

import hashlib
import io
import json
import zipfile
from uuid import UUID

import pytest
from sqlalchemy import insert, select
from sqlalchemy.orm import class_mapper

from db.queries import user_data as queries
from db.tables import Base, Finding, LlmUsage, RefreshToken, Scan, TeamMember, User
from db.tables.search import DERIVED
from service.domain import user_data
from service.domain.audit import Actor
from tests.api.filing import PDF, add, new_session
from tests.api.reviewing import judge
from tests.support.sentences import FLOW_TEXT
from tests.support.traced_memory import traced

pytestmark = pytest.mark.every_database

DATA = "/api/v1/auth/me/data"


def archive(answer):
    assert answer.raise_for_status().headers["Content-Type"] == "application/zip"
    opened = zipfile.ZipFile(io.BytesIO(answer.content))
    assert opened.testzip() is None
    return opened


def rows(opened, name):
    return [json.loads(line) for line in opened.read(name).splitlines()]


@pytest.fixture
def filled(user):
    """A user with something of each kind."""
    settings = {"store_original": True, "retention_days": 99}
    user.http.put("/api/v1/settings", json=settings).raise_for_status()
    form = {"file": ("Plän.txt", FLOW_TEXT.encode())}
    scan_id = user.http.post("/api/v1/scan", files=form).raise_for_status().json()["scan_id"]
    judge(user, f"/api/v1/scans/{scan_id}", 1, comment="Surely.").raise_for_status()
    add(user, new_session(user, "Tender"))
    key = user.http.post("/api/v1/auth/keys", json={"name": "ci", "scopes": ["scan"]}).json()
    user.secrets = [key["key"], user.tokens["refresh_token"], user.password]
    return user


def test_archive_has_everything_of_the_user(filled):
    opened = archive(filled.http.get(DATA))
    assert rows(opened, "account.json")[0]["email"] == filled.email
    assert rows(opened, "settings.json")[0]["retention_days"] == 99
    [scan] = rows(opened, "scans.jsonl")
    assert len(scan["findings"]) == scan["n_findings"] > 0
    [document] = rows(opened, "documents.jsonl")
    assert opened.read(f"documents/{document['id']}.txt").decode() == FLOW_TEXT
    assert opened.read(f"documents/{document['id']}-original.txt").decode() == FLOW_TEXT
    [file] = rows(opened, "files.jsonl")
    assert opened.read(f"files/{file['id']}.pdf") == PDF
    assert [row["comment"] for row in rows(opened, "feedback.jsonl")] == ["Surely."]
    assert [row["name"] for row in rows(opened, "sessions.jsonl")] == ["Tender"]
    assert [row["name"] for row in rows(opened, "api_keys.jsonl")] == ["ci"]
    assert len(rows(opened, "logins.jsonl")) == 1
    actions = [row["action"] for row in rows(opened, "audit_events.jsonl")]
    assert {"user.registered", "scan.created", "data.exported"} <= set(actions)


def test_manifest_and_readme_name_every_file(filled):
    opened = archive(filled.http.get(DATA))
    manifest = json.loads(opened.read("manifest.json"))
    assert {file["name"] for file in manifest["files"]} == {*opened.namelist()} - {"manifest.json"}
    assert manifest["missing"] == []
    for file in manifest["files"]:
        content = opened.read(file["name"])
        assert (len(content), hashlib.sha256(content).hexdigest()) == (
            file["bytes"],
            file["sha256"],
        )
    readme = opened.read("README.txt").decode()
    assert all(
        name in readme for name in opened.namelist() if "/" not in name and "README" not in name
    )


def test_archive_has_what_the_user_did_and_what_was_done_to_it_once_by_time(
    filled, admin, monkeypatch
):
    monkeypatch.setattr(user_data, "ROWS_AT_ONCE", 2)
    for role in ("reviewer", "user"):
        change = admin.http.patch(f"/api/v1/users/{filled.id}", json={"role": role})
        change.raise_for_status()
    exported = rows(archive(filled.http.get(DATA)), "audit_events.jsonl")
    listed = {}
    for field in ("user_id", "object_id"):
        query = {field: filled.id, "per_page": 100}
        events = admin.http.get("/api/v1/admin/audit-events", params=query).json()["items"]
        listed |= {event["id"]: event["created_at"] for event in events}
    assert {row["user_id"] for row in exported} >= {filled.id, admin.id}
    assert sorted(row["id"] for row in exported) == sorted(listed)
    times = [row["created_at"] for row in exported]
    assert times == sorted(times)


def test_archive_has_no_secret_and_nothing_of_others(filled, new_user, live):
    other = new_user()
    other.scan("The other vendor may fail.").raise_for_status()
    opened = archive(filled.http.get(DATA))
    everything = b"\n".join(opened.read(name) for name in opened.namelist())
    hashes = live.services.transactions.read(
        lambda s: [
            *s.scalars(select(User.password_hash)),
            *s.scalars(select(RefreshToken.token_hash)),
        ]
    )
    for secret in [*filled.secrets, *hashes, other.email, other.id, "other vendor"]:
        assert secret.encode() not in everything


def test_every_table_about_users_is_exported():
    exported = {rows.table.__table__ for rows in queries.LISTED.values()}
    exported |= {rows.table.__table__ for rows in (queries.ACCOUNT, queries.SETTINGS)}
    exported |= {
        rows.table.__table__ for rows in (queries.SESSIONS, queries.FILES, queries.BATCH_ITEMS)
    }
    exported |= {rows.table.__table__ for rows in (queries.DOCUMENTS, queries.SCANS)}
    exported |= {class_mapper(table).local_table for table in (TeamMember, LlmUsage)}
    about = {table for table in Base.metadata.tables.values() if "user_id" in table.columns}
    assert {table for table in about if table.name not in DERIVED} <= exported


def test_administrator_exports_for_a_user_and_the_trail_says_so(filled, admin):
    opened = archive(admin.http.get(f"/api/v1/users/{filled.id}/data"))
    assert rows(opened, "account.json")[0]["email"] == filled.email
    query = {"action": "data.exported", "object_id": filled.id}
    [event] = admin.http.get("/api/v1/admin/audit-events", params=query).json()["items"]
    assert event["user_id"] == admin.id


def test_lost_bytes_are_listed_and_do_not_cut_the_archive_off(filled, live):
    for path in (live.services.config.data_dir / "files").glob(f"{UUID(filled.id).hex}/??/*"):
        path.unlink()
    opened = archive(filled.http.get(DATA))
    [file] = rows(opened, "files.jsonl")
    assert json.loads(opened.read("manifest.json"))["missing"] == [f"files/{file['id']}.pdf"]


@pytest.mark.system
def test_memory_does_not_grow_with_the_number_of_scans(user, live):
    user.scan().raise_for_status()
    copy_scans(live, user, 1_000)
    export = live.services.user_data.export(UUID(user.id), actor=Actor(operator="cli:root"))
    with traced() as memory:
        n_bytes = sum(len(block) for block in export)
    assert n_bytes > 100_000
    assert memory.peak_bytes < 4_000_000


def copy_scans(live, user, n):
    """Store `n` copies of the user's scan, each with 20 findings of 1 kB."""

    def copy(session):
        scan = queries.list_rows(session, queries.SCANS, UUID(user.id), after=None, limit=1)[0]
        scan.pop("shared_with_teams")
        finding = session.scalars(select(Finding).where(Finding.scan_id == scan["id"])).first()
        columns = [column.key for column in class_mapper(Finding).column_attrs]
        values = {key: getattr(finding, key) for key in columns} | {"context": "risk " * 200}
        ids = [UUID(int=k + 2**100) for k in range(n)]
        session.execute(insert(Scan), [{**scan, "id": k} for k in ids])
        copies = [{**values, "scan_id": k, "n": m} for k in ids for m in range(1, 21)]
        session.execute(insert(Finding), copies)

    live.services.transactions.run(copy)
