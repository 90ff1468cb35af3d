"""Missed-risk reports with their document: verified, rejected, or stored as unverified."""

import json

import pytest

from tests.api.reviewing import BLUE, TEXT, finding, listed, missed, missed_body, verified
from tests.support import documents

FILE = ("plan.txt", TEXT.encode(), "text/plain")


@pytest.fixture
def scan(user):
    """Path of a scan of `user` of a text."""
    return f"/api/v1/scans/{user.scan(TEXT).json()['scan_id']}"


@pytest.fixture
def file_scan(user):
    """Path of a scan of `user` of the same text as a file."""
    answer = user.http.post("/api/scan", files={"file": FILE})
    return f"/api/v1/scans/{answer.json()['scan_id']}"


def with_file(user, scan, file=FILE, **changed):
    report = json.dumps({**missed_body(), **changed})
    return user.http.post(f"{scan}/feedback", data={"report": report}, files={"file": file})


def faulty(answer):
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), answer.text
    return sorted(error["field"] for error in answer.json()["errors"])


def test_missed_risk_in_the_stored_text_is_verified(user, scan):
    assert missed(user, scan).json()["verified"] is True


def test_missed_risk_that_the_stored_text_lacks_is_unverified(user, scan):
    assert missed(user, scan, BLUE[::-1]).json()["verified"] is False
    assert [row["verified"] for row in listed(user, scan)] == [False]


def test_missed_risk_with_the_text_is_verified(user, scan):
    assert verified(user, scan).json()["verified"] is True


def test_missed_risk_with_the_file_is_verified(user, file_scan):
    answer = with_file(user, file_scan)
    assert (answer.status_code, answer.json()["verified"]) == (201, True)


def test_missed_risk_with_its_pdf_is_verified(user):
    file = ("book.pdf", documents.long_pdf(2, (1,)), "application/pdf")
    scan_id = user.http.post("/api/scan", files={"file": file}).json()["scan_id"]
    scan = f"/api/v1/scans/{scan_id}"
    [target, *_] = user.http.get(f"{scan}/findings").json()["items"]
    body = {"context": target["context"], "start": target["start"], "end": target["end"]}
    assert with_file(user, scan, file, **body).json()["verified"] is True
    body["context"] = target["context"][::-1]
    assert faulty(with_file(user, scan, file, **body)) == ["context"]


def test_missed_risk_repeated_with_the_text_becomes_verified(user, scan):
    first = missed(user, scan, BLUE[::-1]).json()
    second = verified(user, scan)
    assert (second.status_code, second.json()["verified"]) == (200, True)
    assert second.json()["id"] != first["id"]
    assert missed(user, scan).json() == second.json()


def test_missed_risk_verified_by_another_user_is_verified(user, reviewer, scan):
    verified(user, scan)
    assert missed(reviewer, scan, risk_types=["lock-in"]).json()["verified"] is True


def test_missed_risk_at_a_finding_is_verified(user, scan):
    target = finding(user, scan)
    at = {"start": target["start"], "end": target["end"]}
    assert missed(user, scan, target["context"], **at).json()["verified"] is True


def test_missed_risk_with_another_document_is_rejected(user, scan, file_scan):
    assert faulty(verified(user, scan, text=f"{TEXT} ")) == ["text"]
    assert faulty(with_file(user, file_scan, ("plan.txt", b"Another text."))) == ["file"]
    assert listed(user, scan) == listed(user, file_scan) == []


def test_missed_risk_not_in_the_document_is_rejected(user, scan):
    assert faulty(verified(user, scan, BLUE[::-1])) == ["context"]
    beyond = {"start": len(TEXT), "end": len(TEXT) + len(BLUE)}
    assert faulty(verified(user, scan, **beyond)) == ["end"]
    assert listed(user, scan) == []


def test_missed_risk_form_with_faults_lists_all(user, file_scan):
    answer = with_file(user, file_scan, start=-1, risk_types=["money"], text=TEXT)
    assert faulty(answer) == ["file", "risk_types.0", "start", "text"]


@pytest.mark.parametrize("report", [None, "[]", "{"])
def test_missed_risk_form_without_a_report_says_what_to_send(user, file_scan, report):
    form = {} if report is None else {"report": report}
    answer = user.http.post(f"{file_scan}/feedback", data=form, files={"file": FILE})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "JSON" in answer.json()["detail"]


def test_missed_risk_on_another_users_scan_is_not_found(new_user, scan):
    assert verified(new_user(), scan).status_code == 404
