"""STORE_TEXT=hash and none: only the sentences of findings are stored, and the API says why."""

import hashlib

import pytest
from sqlalchemy import select

from db.tables import Document, DocumentText
from tests.api.conftest import User
from tests.support.calls import caller
from tests.support.sentences import FLOW_TEXT


@pytest.fixture(scope="module")
def service(start_service):
    """Return a running service by its STORE_TEXT."""
    started = {}

    def start(store_text):
        if store_text not in started:
            started[store_text] = start_service(STORE_TEXT=store_text)
        return started[store_text]

    return start


def scan_twice(service):
    """Scan one text twice as a new user; return the user, and the scans, newest first."""
    client = caller(service.url)
    user = User(client)
    for _ in range(2):
        user.scan().raise_for_status()
    ids = [scan["scan_id"] for scan in user.http.get("/api/v1/scans").json()["items"]]
    scans = [user.http.get(f"/api/v1/scans/{scan_id}").json() for scan_id in ids]
    client.close()
    return user, scans


@pytest.mark.parametrize("store_text", ["hash", "none"])
def test_text_that_is_not_stored_is_refused_with_the_reason(service, store_text):
    user, [scan, _] = scan_twice(service(store_text))
    path = f"/api/v1/documents/{scan['document_id']}"
    document, answer = user.http.get(path).json(), user.http.get(f"{path}/text")
    assert (document["text_stored"], document["pages"]) == (store_text, [])
    assert f"STORE_TEXT to {store_text}" in document["text_reason"]
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.json()["detail"] == document["text_reason"]
    contexts = [item["context"] for item in scan["data"]]
    assert contexts == [FLOW_TEXT] * 2
    user.http.close()


def test_hash_identifies_a_document_scanned_twice(service):
    user, [newer, older] = scan_twice(service("hash"))
    assert newer["document_id"] == older["document_id"]
    assert newer["document_sha256"] == hashlib.sha256(FLOW_TEXT.encode()).hexdigest()
    user.http.close()


def test_none_stores_no_hash_so_that_documents_are_not_recognized(service):
    user, [newer, older] = scan_twice(service("none"))
    assert newer["document_id"] != older["document_id"]
    assert newer["document_sha256"] is older["document_sha256"] is None
    documents = user.http.get("/api/v1/documents").json()["items"]
    assert [document["sha256"] for document in documents] == [None, None]
    user.http.close()


@pytest.mark.parametrize("store_text", ["hash", "none"])
def test_no_row_of_text_is_stored(service, store_text):
    user, _ = scan_twice(service(store_text))
    read = service(store_text).services.transactions.read
    for rows in (select(DocumentText.n), select(Document.id).where(Document.text.is_not(None))):
        assert read(lambda s, rows=rows: s.scalar(rows)) is None
    user.http.close()


def report_with_text(user, scan):
    """Report a missed risk in a part of the text, together with the text."""
    missed = {"start": 12, "end": 24, "context": FLOW_TEXT[12:24], "risk_types": ["vulnerability"]}
    path = f"/api/v1/scans/{scan['scan_id']}/feedback"
    return user.http.post(path, json={**missed, "text": FLOW_TEXT})


def test_missed_risk_is_verified_against_the_stored_hash(service):
    user, [scan, _] = scan_twice(service("hash"))
    assert report_with_text(user, scan).json()["verified"] is True
    user.http.close()


def test_missed_risk_with_its_document_is_refused_without_a_stored_hash(service):
    user, [scan, _] = scan_twice(service("none"))
    answer = report_with_text(user, scan)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "text")
    assert "stored no hash" in answer.json()["detail"]
    user.http.close()
