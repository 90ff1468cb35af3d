"""Stored documents scanned again, and what changed between two scans."""

import pytest

from tests.api.test_documents import document_of, get, scanned, scanned_file, whole_text
from tests.support import office_files
from tests.support.sentences import FLOW_TEXT

pytestmark = pytest.mark.every_database


def scan_again(user, document, **body):
    return user.http.post(f"{document}/scan", json=body)


def test_document_scanned_again_has_two_scans_with_the_same_findings(user):
    document = scanned_file(user, "risks.xlsx", office_files.workbook())
    text, before = whole_text(user, document), get(user, document)
    answer = scan_again(user, document)
    assert answer.status_code == 201
    after = get(user, document)
    newer, older = after["scans"]
    assert answer.headers["Location"] == f"/api/v1/scans/{newer['id']}"
    assert (after["pages"], whole_text(user, document)) == (before["pages"], text)
    first, second = (get(user, f"/api/v1/scans/{s['id']}/findings") for s in (older, newer))
    assert first["items"] == second["items"] != []


def test_scan_again_takes_another_sensitivity(user):
    document = scanned(user)
    scan_id = scan_again(user, document, sensitivity="recall").json()["scan_id"]
    assert document_of(user, scan_id) == document
    newer, older = get(user, document)["scans"]
    assert (newer["sensitivity"], older["sensitivity"]) == ("recall", "balanced")


def test_scan_again_with_a_used_key_returns_the_stored_scan(user):
    document, headers = scanned(user), {"Idempotency-Key": "again"}
    url = f"{document}/scan"
    first, second = (user.http.post(url, json={}, headers=headers).json() for _ in range(2))
    assert first == second
    other = user.http.post(url, json={"sensitivity": "recall"}, headers=headers)
    assert (other.status_code, get(user, document)["n_scans"]) == (409, 2)


def test_scan_again_with_faults_is_refused(user):
    document = scanned(user)
    assert scan_again(user, document, force_llm=True).status_code == 501
    both = scan_again(user, document, force_llm=True, sensitivity="recall")
    assert (both.status_code, both.json()["code"]) == (400, "invalid_request")


def test_scan_again_counts_against_the_quota(start_service, make_user):
    user = make_user(start_service(SCAN_RATE_LIMIT="2 per hour"))
    document = scanned(user)
    answers = [scan_again(user, document) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 429]
    assert answers[1].json()["code"] == "rate_limited"


def test_repeated_scan_does_not_count_against_the_quota(start_service, make_user):
    user = make_user(start_service(SCAN_RATE_LIMIT="1 per hour"))
    scan = {"json": {"text": FLOW_TEXT}}
    first, again = (
        user.http.post("/api/scan", **scan, headers={"Idempotency-Key": "once"}) for _ in range(2)
    )
    assert (again.status_code, again.json()) == (201, first.json())
    assert user.http.post("/api/scan", **scan).status_code == 429


def changes(user, newer, older):
    return get(user, f"/api/v1/scans/{newer}/changes", since=older)


def test_changes_of_an_edited_text_name_new_same_and_gone_findings(user):
    older = user.scan(f"{office_files.SUPPLIER}\n{FLOW_TEXT}.").json()
    newer = user.scan(f"{FLOW_TEXT}.\nAll is well.\n Project has  {FLOW_TEXT[12:]}.").json()
    answer = changes(user, newer["scan_id"], older["scan_id"])
    assert (answer["document_changed"], answer["model_changed"]) == (True, False)
    items = [(i["change"], i["finding"], i["since"]) for i in answer["items"]]
    n_before = len(older["data"])
    assert items[:2] == [("same", 1, n_before - 1), ("same", 2, n_before)]
    assert items[2:4] == [("new", 3, None), ("new", 4, None)]  # the sentence is there once more
    assert items[4:] == [("gone", None, n) for n in range(1, n_before - 1)] != []


def test_changes_of_the_same_document_at_another_sensitivity_keep_the_document(user):
    document = scanned(user)
    scan_again(user, document, sensitivity="recall").raise_for_status()
    newer, older = get(user, document)["scans"]
    answer = changes(user, newer["id"], older["id"])
    assert get(user, f"/api/v1/scans/{newer['id']}/changes") == answer
    assert (answer["document_changed"], answer["sensitivity_changed"]) == (False, True)
    assert {item["change"] for item in answer["items"]} >= {"same"}


def test_changes_of_a_first_scan_are_all_new(user):
    answer = get(user, f"/api/v1/scans/{user.scan().json()['scan_id']}/changes")
    assert (answer["since"], answer["document_changed"]) == (None, False)
    assert [item["change"] for item in answer["items"]] == ["new", "new"]


def test_changes_of_another_users_scan_are_not_found(user, new_user):
    scan_id = user.scan().json()["scan_id"]
    stranger = new_user()
    own = stranger.scan().json()["scan_id"]
    for newer, older in ((own, scan_id), (scan_id, own), (scan_id, scan_id)):
        answer = stranger.http.get(f"/api/v1/scans/{newer}/changes", params={"since": older})
        assert answer.status_code == 404
