"""Each migration preserves the stored rows, up and down, even rows without a parent."""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest
from sqlalchemy import delete, inspect, select, text, update

from db import migrate
from db.engines import open_unpooled_engine
from db.queries.audit import list_sealed
from db.tables import FULL_TEXT_TABLES, Document, DocumentText, Feedback, Finding
from service.config.settings import load
from service.domain.audit_seals import AuditSeals, digest_of
from service.domain.scans.fingerprints import fingerprints
from service.domain.transactions import Transactions, open_database
from tests.db.conftest import mysql
from tests.db.course_rows import COURSE_ROWS
from tests.db.old_rows import DOCUMENT, KEYED, ROWS, SCAN, USER, add_orphan, add_rows, stored_rows

VERSIONS = Path(migrate.__file__).parent / "migrations" / "versions"
REVISIONS = sorted(path.name[1:5] for path in VERSIONS.glob("r*.py"))
FIRST = "0004"
CREATED_AT = "2026-01-02 03:04:05"
KEY = {"id": SCAN, "user_id": USER, "name": "import", "key_hash": "2" * 64, "hint": "wxyz"}
_SESSION = {"id": SCAN, "user_id": USER, "name": "Angebot é", "created_at": CREATED_AT}
_FILE = {
    "id": SCAN,
    "user_id": USER,
    "work_session_id": SCAN,
    "name": "Angebot é.pdf",
    "media_type": "application/pdf",
    "size_bytes": 5_000_000_000,
    "sha256": "0" * 64,
    "created_at": CREATED_AT,
}
SETTINGS = {"user_id": USER, "sensitivity": "recall", "force_llm": False, "store_text": "none"}
CALL = {"id": SCAN, "kind": "llm", "host": "llm.corp.local", "sent_bytes": 1, "received_bytes": 2}
CALL["duration_ms"] = 1.5
_SAMPLED = {"scan_id": SCAN, "n": 1, "span_start": 0, "span_end": 9, "draw": 0.25}
_SAMPLED["context"] = "Zu teuer."
_SEAL = {"number": 1, "last_n": 1, "digest": "0" * 64, "sealed_at": CREATED_AT}
_REPORT = {
    "id": SCAN,
    "created_at": CREATED_AT,
    "kind": "audit_trail",
    "format": "csv",
    "scope": "{}",
}
_WEBHOOK = {"id": SCAN, "user_id": USER, "name": "é", "url": "https://x", "is_enabled": True}
_WEBHOOK |= {"secret_number": 1, "created_at": CREATED_AT}
_DELIVERY = {
    "id": SCAN,
    "webhook_id": SCAN,
    "event": "batch.finished",
    "payload": "{}",
    "n_attempts": 1,
}
_DELIVERY |= {"state": "waiting", "next_attempt_at": CREATED_AT, "created_at": CREATED_AT}
_BATCH = {"id": SCAN, "user_id": USER, "name": "Verträge", "state": "running", "force_llm": False}
_BATCH |= dict.fromkeys(("n_waiting", "n_running", "n_done", "n_failed", "n_cancelled"), 1)
_BATCH |= dict.fromkeys(("created_at", "ready_at", "served_at"), CREATED_AT)
_ITEM = {"id": SCAN, "batch_id": SCAN, "user_id": USER, "position": 1, "state": "waiting"}
_ITEM |= {"media_type": "text/plain", "size_bytes": 2**40, "attempts": 0, "lease_until": CREATED_AT}
_VECTORS = {"user_id": USER, "scan_id": SCAN, "part": 0, "model": "0" * 64, "revision": 1}
_VECTORS |= {"categories": "financial", "vectors": b"\x00\xff"}
_DRIFT = {"id": SCAN, "model": "é/1", "hour": CREATED_AT, "n_sentences": 2**40, "counts": "{}"}
_RISK = {"id": SCAN, "user_id": USER, "owner_id": USER, "title": "Zoll é", "description": "é"}
_RISK |= {"team_id": SCAN, "likelihood": 5, "impact": 1, "mitigation": "", "state": "open"}
_RISK |= {"version": 1, "created_at": CREATED_AT, "changed_at": CREATED_AT}
_OF_RISK = {"id": SCAN, "risk_id": SCAN, "user_id": USER, "created_at": CREATED_AT}
_SUPPORT = {**_OF_RISK, "scan_id": SCAN, "n": 1, "series_id": DOCUMENT, "fingerprint": "0" * 32}
_SUPPORT |= {"context": "Zu teuer é.", "risk": "Budget", "category": "Cost", "source_user_id": USER}
_CHANGE = {**_OF_RISK, "field": "state", "value_after": "open"}
LATER_ROWS = [
    *COURSE_ROWS,
    ("drift_counts", [_DRIFT]),
    ("batches", [_BATCH]),
    ("batch_items", [_ITEM, {**_ITEM, "id": KEYED, "position": 2, "name": "é", "scan_id": SCAN}]),
    ("report_logs", [{**_REPORT, "n_rows": 2**40, "size_bytes": 2**50, "outcome": "finished"}]),
    ("transaction_markers", [{"id": SCAN, "created_at": CREATED_AT}]),
    ("audit_seals", [_SEAL]),
    ("llm_usage", [{"user_id": USER, "day": "2026-11-23", "tokens": 2**40}]),
    ("blocks", [{"id": SCAN, "network": "::/1", "reason": "é", "created_at": CREATED_AT}]),
    ("sampled_sentences", [{**_SAMPLED, "answered": True}]),
    ("api_interactions", [{**CALL, "created_at": CREATED_AT}]),
    ("user_settings", [{**SETTINGS, "thresholds": "{}", "updated_at": CREATED_AT}]),
    ("api_keys", [{**KEY, "scopes": '["scan"]', "created_at": CREATED_AT}]),
    (
        "identities",
        [{"id": SCAN, "issuer": "é", "subject": "S", "user_id": USER, "created_at": CREATED_AT}],
    ),
    ("webhooks", [_WEBHOOK]),
    ("webhook_deliveries", [_DELIVERY]),
    ("work_sessions", [_SESSION]),
    ("files", [_FILE, {**_FILE, "id": KEYED, "pages": 3}]),
    ("teams", [{"id": SCAN, "name": "Käufer", "name_key": "käufer", "created_at": CREATED_AT}]),
    ("team_members", [{"user_id": USER, "team_id": SCAN}]),
    ("risks", [_RISK]),
    ("risk_findings", [{**_SUPPORT, "scanned_at": CREATED_AT}]),
    ("risk_notes", [{**_OF_RISK, "text": "é"}]),
    ("risk_changes", [_CHANGE]),
    ("scan_shares", [{"scan_id": SCAN, "team_id": SCAN}]),
    ("work_session_shares", [{"work_session_id": SCAN, "team_id": SCAN}]),
    (
        "documents",
        [
            {
                "id": DOCUMENT,
                "user_id": USER,
                "name": "Плän.pdf",
                "media_type": "application/pdf",
                "sha256": "0" * 64,
                "size_bytes": 2**40,
                "n_pages": 1,
                "layout": "{}",
                "text_stored": "full",
                "n_scans": 1,
                "created_at": CREATED_AT,
            }
        ],
    ),
    (
        "document_text",
        [
            {
                "document_id": DOCUMENT,
                "n": 1,
                "span_start": 0,
                "span_end": 9,
                "text": "Zu teuer.",
                "blocks": b"\x00\x00\x00\x00\x09\x00\x00\x00\xff\xff\xff\xff",
            }
        ],
    ),
    ("document_shares", [{"document_id": DOCUMENT, "team_id": SCAN}]),
    ("search_owners", [{"user_id": USER, "revision": 1}]),
    ("search_vectors", [_VECTORS]),
    ("search_words", [{"id": 1, "n": 0, "document_id": DOCUMENT, "words": "dxplan"}]),
]


@pytest.fixture
def filled_url(empty_database_url):
    """A database as of revision 0004, with a row or two in each table."""
    migrate.upgrade(empty_database_url, FIRST)
    with open_unpooled_engine(empty_database_url).begin() as connection:
        add_rows(connection, ROWS)
    return empty_database_url


def snapshot(url):
    """Return the columns and the rows of each table, both sorted."""
    with open_unpooled_engine(url).connect() as connection:
        inspector = inspect(connection)
        columns = {
            table: sorted(column["name"] for column in described)
            for (_, table), described in inspector.get_multi_columns().items()
            if table not in {"alembic_version", *FULL_TEXT_TABLES}
        }
        return {
            table: (names, stored_rows(connection, table, names))
            for table, names in columns.items()
        }


def fill_empty_tables(url):
    empty = {table for table, (_, rows) in snapshot(url).items() if not rows}
    with open_unpooled_engine(url).begin() as connection:
        add_rows(connection, [(t, rows) for t, rows in [*ROWS, *LATER_ROWS] if t in empty])


def common(one, other):
    """Return the rows of `one` in the tables and columns that `other` has too."""
    rows_by_table = {}
    for table in one.keys() & other.keys():
        (columns, rows), known = one[table], other[table][0]
        shared = [n for n, name in enumerate(columns) if name in known]
        rows_by_table[table] = sorted((tuple(row[n] for n in shared) for row in rows), key=repr)
    return rows_by_table


def assert_kept(before, after):
    assert before.keys() <= after.keys()
    assert common(after, before) == common(before, after)


def upgrade_by_single_revisions(url):
    """Upgrade revision by revision with rows in every table; return the snapshot of each revision."""
    snapshots = {}
    before = {}
    for revision in REVISIONS:
        migrate.upgrade(url, revision)
        assert_kept(before, snapshot(url))
        fill_empty_tables(url)
        before = snapshots[revision] = snapshot(url)
    return snapshots


@pytest.mark.system
def test_each_revision_keeps_every_row_up_down_and_up(empty_database_url):
    snapshots = upgrade_by_single_revisions(empty_database_url)
    empty = [table for table, (_, rows) in snapshots[REVISIONS[-1]].items() if not rows]
    assert not empty, f"add a row for each of {empty} to LATER_ROWS"
    assert migrate.differences(empty_database_url) == []
    for revision in reversed(REVISIONS[:-1]):
        migrate.downgrade(empty_database_url, revision)
        assert snapshot(empty_database_url) == snapshots[revision], revision
    migrate.upgrade(empty_database_url)
    assert_kept(snapshots[REVISIONS[0]], snapshot(empty_database_url))


def test_upgrade_sets_updated_at_of_an_account_to_created_at(filled_url):
    migrate.upgrade(filled_url)
    with open_unpooled_engine(filled_url).connect() as connection:
        moments = connection.exec_driver_sql("SELECT created_at, updated_at FROM users").all()
        used = connection.exec_driver_sql("SELECT last_used_at, client_address FROM logins").all()
    assert [created == updated for created, updated in moments] == [True]
    assert used == [(None, None)]


def test_upgrade_keeps_and_reports_a_scan_whose_account_is_gone(filled_url, caplog):
    add_orphan(filled_url)
    before = snapshot(filled_url)
    migrate.upgrade(filled_url)
    assert_kept(before, snapshot(filled_url))
    assert "scans whose account is gone: 1" in caplog.text


@mysql
def test_upgrade_interrupted_between_two_tables_can_run_again(filled_url):
    with open_unpooled_engine(filled_url).connect() as connection:
        connection.exec_driver_sql(
            "ALTER TABLE users DROP CONSTRAINT ck_users_ck_users_role, "
            "ADD CONSTRAINT ck_users_role CHECK (role IN ('user', 'reviewer', 'admin'))"
        )
    migrate.upgrade(filled_url)
    assert migrate.current(filled_url) == migrate.head()


def test_upgrade_marks_verdicts_as_verified_and_missed_risks_as_unverified(filled_url):
    migrate.upgrade(filled_url)
    with open_unpooled_engine(filled_url).connect() as connection:
        rows = connection.execute(select(Feedback.n, Feedback.verified)).all()
    assert dict(rows) == {1: True, 0: False}


@mysql
def test_upgrade_interrupted_after_the_new_index_can_run_again(filled_url):
    migrate.upgrade(filled_url, "0006")
    with open_unpooled_engine(filled_url).connect() as connection:
        connection.exec_driver_sql(
            "CREATE INDEX ix_scans_created_at_id ON scans (created_at DESC, id DESC)"
        )
    migrate.upgrade(filled_url)
    assert migrate.differences(filled_url) == []


def test_downgrade_below_foreign_findings_drops_rows_that_it_cannot_store(filled_url):
    migrate.upgrade(filled_url)
    with open_unpooled_engine(filled_url).begin() as connection:
        connection.exec_driver_sql("UPDATE findings SET risk_type = NULL, foreign_risk = 'Lock-in'")
        connection.exec_driver_sql("UPDATE feedback SET span_start = 0, span_end = 0 WHERE n = 1")
    migrate.downgrade(filled_url, "0008")
    after = snapshot(filled_url)
    assert [len(after[table][1]) for table in ("findings", "feedback")] == [0, 1]


def findings_and_data(url):
    """Return the findings, and the scans' `data` if there is that column."""
    stored = snapshot(url)
    columns, rows = stored["findings"]
    names = ("n", "risk_type", "foreign_risk", "foreign_category", "context")
    findings = sorted(tuple(row[columns.index(name)] for name in names) for row in rows)
    columns, rows = stored["scans"]
    return findings, [row[columns.index("data")] for row in rows] if "data" in columns else None


def test_upgrade_stores_findings_that_only_the_data_of_a_scan_has(filled_url):
    migrate.upgrade(filled_url, "0010")
    with open_unpooled_engine(filled_url).begin() as connection:
        connection.exec_driver_sql("DELETE FROM findings WHERE n = 2")
    _, data = findings_and_data(filled_url)
    migrate.upgrade(filled_url)
    title = ("Insufficient or tight budget", "Budget", "Zu teuer.")
    findings, _ = findings_and_data(filled_url)
    assert findings == [(1, "tight-budget", None, None, "Zu teuer."), (2, None, *title)]
    migrate.downgrade(filled_url, "0010")
    assert findings_and_data(filled_url)[1] == data


def test_downgrade_derives_the_data_of_more_scans_than_one_batch(filled_url):
    migrate.upgrade(filled_url)
    [(_, [scan, _])] = [row for row in ROWS if row[0] == "scans"]
    [(_, [finding, _])] = [row for row in ROWS if row[0] == "findings"]
    ids = [f"0191{n:028x}" for n in range(1001)]
    with open_unpooled_engine(filled_url).begin() as connection:
        add_rows(connection, [("scans", [{**scan, "id": id_} for id_ in ids])])
        add_rows(connection, [("findings", [{**finding, "scan_id": id_} for id_ in ids])])
    migrate.downgrade(filled_url, "0010")
    _, data = findings_and_data(filled_url)
    n_items = [len(json.loads(d) if isinstance(d, str) else d) for d in data]
    assert sorted(n_items) == [0, *[1] * 1001, 2]


def test_upgrade_gives_stored_findings_their_fingerprints(filled_url):
    migrate.upgrade(filled_url, "0018")
    _add_finding(filled_url, n=3, context="  zu\nTEUER. ")
    migrate.upgrade(filled_url)
    with open_unpooled_engine(filled_url).connect() as connection:
        rows = connection.execute(select(Finding).order_by(Finding.n)).all()
    stored = {row.fingerprint for row in rows}
    assert [row.fingerprint for row in rows] == fingerprints(rows)
    assert len(stored) == 3


def _add_finding(url, **changed):
    [(_, [finding, _])] = [row for row in ROWS if row[0] == "findings"]
    with open_unpooled_engine(url).begin() as connection:
        add_rows(connection, [("findings", [{**finding, **changed}])])


@mysql
def test_migration_of_data_interrupted_can_run_again(filled_url):
    migrate.upgrade(filled_url)
    with open_unpooled_engine(filled_url).connect() as connection:
        connection.exec_driver_sql("ALTER TABLE scans ADD COLUMN data JSON")
    migrate.downgrade(filled_url, "0010")
    with open_unpooled_engine(filled_url).connect() as connection:
        connection.exec_driver_sql("ALTER TABLE scans DROP COLUMN data")
    migrate.upgrade(filled_url)
    assert migrate.differences(filled_url) == []


def test_downgrade_moves_short_texts_to_the_table_of_pieces(empty_database_url):
    migrate.upgrade(empty_database_url, "0020")
    fill_empty_tables(empty_database_url)
    migrate.upgrade(empty_database_url)
    with open_unpooled_engine(empty_database_url).begin() as connection:
        [piece] = connection.execute(select(DocumentText.text, DocumentText.blocks)).all()
        connection.execute(delete(DocumentText))
        values = {"text": piece.text, "blocks": piece.blocks, "n_characters": len(piece.text)}
        connection.execute(update(Document).values(values))
    migrate.downgrade(empty_database_url, "0022")
    with open_unpooled_engine(empty_database_url).connect() as connection:
        rows = connection.execute(select(DocumentText)).all()
    assert [(r.n, r.span_start, r.span_end, r.text, r.blocks) for r in rows] == [(1, 0, 9, *piece)]


def test_addresses_move_out_of_sealed_events_and_back_with_sound_digests(empty_database_url):
    migrate.upgrade(empty_database_url, "0028")
    add = text(
        "INSERT INTO audit_events (id, created_at, action, object_type, detail, n, digest)"
        " VALUES (:id, '2026-01-02 03:04:05.000006', 'user.logged_in', 'user', :detail, :n, :digest)"
    )
    digest, rows = "", []
    for n, detail in enumerate([{"client_address": "192.0.2.1"}, {"x": 1}], start=1):
        event = {"n": n, "id": UUID(int=n), "created_at": datetime(2026, 1, 2, 3, 4, 5, 6, UTC)}
        plain = dict.fromkeys(("user_id", "object_id", "request_id", "personal_digest"))
        event |= {**plain, "action": "user.logged_in", "object_type": "user", "detail": detail}
        digest = digest_of(SimpleNamespace(**event), n, digest)
        rows.append({"id": UUID(int=n).hex, "detail": json.dumps(detail), "n": n, "digest": digest})
    seal = "INSERT INTO audit_seals VALUES (1, 2, :digest, '2026-01-02 03:04:05')"
    with open_unpooled_engine(empty_database_url).begin() as connection:
        connection.execute(add, rows)
        connection.execute(text(seal), {"digest": digest})
    before = snapshot(empty_database_url)["audit_events"]
    migrate.upgrade(empty_database_url)
    config = load({"SECRET_KEY": "k" * 32, "DATABASE_URL": empty_database_url})
    with closing(Transactions(open_database(config, pool_size=1))) as transactions:
        verdict = AuditSeals(config, transactions).verify()
        [kept, _] = transactions.read(list_sealed, after_n=0, limit=9)
    assert (verdict.n_events, verdict.fault, kept.detail) == (2, None, {})
    assert kept.full_detail == {"client_address": "192.0.2.1"}
    migrate.downgrade(empty_database_url, "0028")
    assert snapshot(empty_database_url)["audit_events"] == before


def test_accounts_that_only_the_provider_knows_are_marked_and_back(filled_url):
    migrate.upgrade(filled_url, "0032")
    identity = dict(LATER_ROWS)["identities"]
    invited = {"id": KEYED, "email": "invited@x", "password_hash": "", "role": "user"}
    with open_unpooled_engine(filled_url).begin() as connection:
        connection.execute(text("UPDATE users SET password_hash = ''"))
        users = [{**invited, "created_at": CREATED_AT}]
        add_rows(connection, [("users", users), ("identities", identity)])
    hashes = text("SELECT password_hash FROM users ORDER BY password_hash")
    for go, revision, expected in [
        (migrate.upgrade, "0033", ["", "sso"]),
        (migrate.downgrade, "0032", ["", ""]),
    ]:
        go(filled_url, revision)
        with open_unpooled_engine(filled_url).connect() as connection:
            assert connection.execute(hashes).scalars().all() == expected
