"""Scans of stored files over HTTP: an upload that a session keeps, a file by its id, a whole session."""

from uuid import uuid4

import pytest

from tests.api.filing import add, new_session
from tests.support.documents import pdf_of_pages
from tests.support.sentences import FLOW_TEXT

TWO_PAGES = pdf_of_pages([["The budget is tight."], ["The schedule slips."]])
NOTE = ("note.txt", FLOW_TEXT.encode(), "text/plain")


@pytest.fixture
def session(user):
    return new_session(user)


def scan_upload(user, session, **headers):
    form = {"session": session.rsplit("/", 1)[1]}
    return user.http.post("/api/scan", data=form, files={"file": NOTE}, headers=headers)


def scan_file(user, file_id):
    return user.http.post("/api/scan", json={"file_id": file_id})


def note(user, session, name="note.txt", text=FLOW_TEXT):
    return add(user, session, name, text.encode(), "text/plain").json()["id"]


def test_scan_with_a_session_keeps_the_uploaded_file(user, session):
    response = scan_upload(user, session)
    assert (response.status_code, len(response.json()["data"])) == (201, 2)
    file = user.http.get(response.links["enclosure"]["url"]).json()
    assert (file["name"], file["size_bytes"]) == ("note.txt", len(NOTE[1]))
    assert user.http.get(f"{session}/files").json()["items"] == [file]


def test_repeated_scan_with_a_session_keeps_one_file(user, session):
    first, second = (scan_upload(user, session, **{"Idempotency-Key": "once"}) for _ in range(2))
    assert first.json() == second.json()
    assert user.http.get(session).json()["n_files"] == 1


def test_scan_by_file_id_equals_the_scan_of_its_text(user, session):
    by_id, by_text = scan_file(user, note(user, session)), user.scan()
    assert by_id.status_code == 201
    assert by_id.json()["data"] == by_text.json()["data"]
    scan = user.http.get(f"/api/scans/{by_id.json()['scan_id']}").json()
    assert scan["filename"] == "note.txt"


def test_scans_of_stored_files_and_documents_follow_the_users_settings(user, session):
    document_id = user.http.get(user.scan().headers["Location"]).json()["document_id"]
    chosen = {"sensitivity": "recall", "thresholds": {"budget": 1}, "store_text": "hash"}
    user.http.put("/api/v1/settings", json=chosen).raise_for_status()
    by_file = scan_file(user, note(user, session)).json()["scan_id"]
    [in_session] = user.http.post(f"{session}/scan", json={}).json()["items"]
    again = user.http.post(f"/api/v1/documents/{document_id}/scan", json={}).json()["scan_id"]
    for scan_id, stored in ((by_file, "hash"), (in_session["scan_id"], "hash"), (again, "full")):
        scan = user.http.get(f"/api/scans/{scan_id}").json()
        assert [item["category"] for item in scan["data"]] == ["Schedule"]
        assert (scan["sensitivity"], scan["coverage"]["hidden_findings"]) == ("recall", 1)
        document = user.http.get(f"/api/v1/documents/{scan['document_id']}").json()
        assert document["text_stored"] == stored


def test_scan_by_anothers_file_id_is_404(user, session, new_user):
    assert scan_file(new_user(), note(user, session)).status_code == 404
    missing = scan_file(user, str(uuid4()))
    assert (missing.status_code, missing.json()["detail"]) == (
        404,
        "You have no file with this id.",
    )


def test_scan_into_anothers_session_is_404(session, new_user):
    assert scan_upload(new_user(), session).status_code == 404


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"file_id": str(uuid4()), "text": "a"}, {"file", "text", "file_id"}),
        ({"session": str(uuid4()), "text": "a"}, {"session"}),
        ({"file_id": "x"}, {"file_id"}),
        ({}, {"file", "text"}),
    ],
)
def test_scan_with_contradicting_documents_is_400(user, body, fields):
    response = user.http.post("/api/scan", json=body)
    assert response.status_code == 400
    assert {fault["field"] for fault in response.json()["errors"]} == fields


def test_scan_of_a_file_over_the_scans_limit_is_413(start_service, make_user):
    user = make_user(start_service(MAX_FILE_BYTES="1000"))
    response = scan_file(user, note(user, new_session(user), text="a" * 1001))
    assert response.status_code == 413
    assert "MAX_FILE_BYTES" in response.json()["detail"]


def test_scan_of_a_session_scans_each_file_and_reports_each_problem(user, session):
    good, bad = note(user, session), add(user, session, "x.pdf", b"no pdf").json()["id"]
    body = user.http.post(f"{session}/scan", json={}).json()
    assert [(item["file_id"], item["status"]) for item in body["items"]] == [
        (good, "scanned"),
        (bad, "failed"),
    ]
    assert body["items"][1]["problem"]["code"] == "unreadable_document"
    assert (body["n_scanned"], body["n_failed"], body["n_not_done"]) == (1, 1, 0)
    scan = user.http.get(f"/api/scans/{body['items'][0]['scan_id']}").json()
    assert (scan["filename"], scan["n_findings"]) == ("note.txt", 2)


def test_scan_of_a_session_takes_the_files_that_the_body_names(user, session):
    ids = [note(user, session, f"{n}.txt") for n in range(3)]
    wanted = [ids[2], ids[0]]
    body = user.http.post(f"{session}/scan", json={"file_ids": wanted}).json()
    assert [item["file_id"] for item in body["items"]] == wanted
    other = user.http.post(f"{session}/scan", json={"file_ids": [str(uuid4())]})
    assert other.status_code == 404


def test_repeated_scan_of_a_session_scans_only_what_is_new(user, session):
    key = {"Idempotency-Key": "once"}
    note(user, session)
    [first] = user.http.post(f"{session}/scan", json={}, headers=key).json()["items"]
    note(user, session, "later.txt")
    again = user.http.post(f"{session}/scan", json={}, headers=key).json()
    assert again["items"][0] == first
    assert (again["n_scanned"], again["items"][1]["scan_id"] != first["scan_id"]) == (2, True)
    assert len(user.http.get("/api/scans").json()["items"]) == 2


def test_repeated_scan_of_a_session_with_other_options_is_a_conflict(user, session):
    key = {"Idempotency-Key": "once"}
    note(user, session)
    for options, code in (({}, None), ({"sensitivity": "recall"}, "conflict")):
        [item] = user.http.post(f"{session}/scan", json=options, headers=key).json()["items"]
        assert (item["problem"] and item["problem"]["code"]) == code


def test_repeated_deferred_scan_of_a_session_is_one_batch(user, session):
    headers = {"Idempotency-Key": "once", "Prefer": "respond-async"}
    note(user, session)
    first, second = (user.http.post(f"{session}/scan", json={}, headers=headers) for _ in range(2))
    assert (first.status_code, second.json()["id"]) == (202, first.json()["id"])


def test_scan_of_an_empty_session_has_no_items(user, session):
    assert user.http.post(f"{session}/scan", json={}).json()["items"] == []


def test_scan_counts_against_the_quota_file_by_file(start_service, make_user):
    user = make_user(start_service(SCAN_RATE_LIMIT="2 per hour"))
    session = new_session(user)
    for n in range(3):
        note(user, session, f"{n}.txt")
    items = user.http.post(f"{session}/scan", json={}).json()["items"]
    assert [item["status"] for item in items] == ["scanned", "scanned", "failed"]
    assert items[2]["problem"]["code"] == "rate_limited"


def test_repeated_scan_of_a_session_needs_no_quota_for_scanned_files(start_service, make_user):
    user = make_user(start_service(SCAN_RATE_LIMIT="2 per hour"))
    session, key = new_session(user), {"Idempotency-Key": "once"}
    for n in range(3):
        note(user, session, f"{n}.txt")
    first, again = (
        user.http.post(f"{session}/scan", json={}, headers=key).json()["items"] for _ in range(2)
    )
    assert [item["status"] for item in again] == ["scanned", "scanned", "failed"]
    assert again[:2] == first[:2]


def test_scanned_file_knows_its_pages(user, session):
    file = add(user, session, "two.pdf", TWO_PAGES)
    assert file.json()["pages"] is None
    assert scan_file(user, file.json()["id"]).status_code == 201
    assert user.http.get(file.headers["Location"]).json()["pages"] == 2
