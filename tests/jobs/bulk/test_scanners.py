"""The scanners of a worker: documents in, rows or stored scans out."""

import json

import pytest
from sqlalchemy import func, select

from db.tables import Document, Finding, Scan
from service.config.settings import load
from service.config.shipped_model import shipped_folder
from service.domain.preferences import Preferences
from service.domain.services import build_services
from service.errors import DatabaseUnavailable, StorageUnavailable
from service.jobs.bulk.documents import SourceDocument, bad_document, text_document
from service.jobs.bulk.scanner import BlockScanner, WorkerOptions, open_scanner
from service.jobs.bulk.stored_scanner import Owner, open_stored_scanner
from service.jobs.bulk.tables import COVERAGE, FINDING, documents_table, results_table
from service.nlp.document import Finding as FoundFinding
from tests.support.sentences import FLOW_TEXT

TEXT = text_document("t", FLOW_TEXT, share=0.25)
MAIL = SourceDocument(
    "m", b"Subject: Plan\nFrom: a@b.example\n\nThe budget is tight.\n", name="m.eml"
)
BROKEN = SourceDocument("b", b"no pdf", name="b.pdf")
UNREAD = bad_document("u", StorageUnavailable("It is gone."), 1.0)


@pytest.fixture(scope="module")
def scanner():
    """A scanner whose rows have the findings."""
    scanner = open_scanner(WorkerOptions(load({}), shipped_folder()))
    yield scanner
    scanner.close()


def test_scanner_returns_a_row_with_findings_or_an_error_for_each_document(scanner):
    table = scanner.scan_block(documents_table([TEXT, BROKEN, MAIL, UNREAD]))
    text, broken, mail, unread = table.to_pylist()
    assert {f["risk_type"] for f in text["findings"]} == {"tight-budget", "aggressive-deadline"}
    assert text["coverage"]["sentences"] == 1
    assert text["sha256"] == TEXT.sha256
    assert text["error"] is None
    assert mail["media_type"] == "message/rfc822"
    assert broken["error"]["code"] == "unreadable_document"
    assert broken["findings"] is None
    assert unread["error"] == {"code": "storage_unavailable", "message": "It is gone."}


def test_columns_of_results_are_the_fields_of_a_scan(scanner):
    row = scanner.rows([MAIL])[0]
    assert set(row["coverage"]) == {field.name for field in COVERAGE}
    ours = {"risk", "category_title"}
    theirs = set(FoundFinding.__slots__) - {"foreign_risk", "foreign_category"}  # an AI service's
    assert {field.name for field in FINDING} == ours | theirs
    json.dumps(results_table([row]).to_pylist())


def test_scanner_with_threads_keeps_the_order_of_the_documents():
    scanner = BlockScanner(lambda d: {"id": d.id}, n_threads=4)
    documents = [text_document(str(n), "x", share=0) for n in range(50)]
    assert [row["id"] for row in scanner.rows(documents)] == [d.id for d in documents]


def test_unexpected_failure_is_the_documents_error_without_its_words():
    def fail(_document):
        raise KeyError("secret words")

    (row,) = BlockScanner(fail).rows([TEXT])
    assert row["error"]["code"] == "internal_error"
    assert "KeyError" in row["error"]["message"]
    assert "secret" not in str(row)


def test_failure_that_is_not_the_documents_ends_the_run():
    def fail(_document):
        raise DatabaseUnavailable("away")

    with pytest.raises(DatabaseUnavailable):
        BlockScanner(fail).rows([TEXT])


@pytest.fixture
def stored(database_url, tmp_path):
    """Services on a database with an account, and a scanner that stores for it."""
    config = load({"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path)})
    with build_services(config) as services:
        user = services.accounts.register("a@b.example", "a long password", role="user")
        options = WorkerOptions(services.signing_config, shipped_folder())
        scanner = open_stored_scanner(options, Owner(user.id, Preferences()))
        yield services, scanner
        scanner.close()


def test_stored_scanner_stores_each_document_once(stored):
    services, scanner = stored
    twin = text_document("t2", FLOW_TEXT, share=1)
    for _ in range(2):
        rows = scanner.rows([TEXT, twin, MAIL, BROKEN])
        assert [bool(row.get("error")) for row in rows] == [False, False, False, True]

    def count(session, table):
        return session.scalar(select(func.count()).select_from(table))

    counts = [services.transactions.read(count, table) for table in (Document, Scan, Finding)]
    assert counts[:2] == [2, 3]
    assert counts[2] >= 5
    names = services.transactions.read(lambda s: set(s.scalars(select(Scan.filename))))
    assert names == {"t", "t2", "m.eml"}
