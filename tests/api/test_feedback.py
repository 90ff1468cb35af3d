"""Reviewing over HTTP: verdicts on findings, missed risks, who sees what, races, the trail."""

import concurrent.futures
import itertools
import json
import uuid

import pytest

from tests.api.reviewing import (
    BLUE,
    BUDGET,
    SCHEDULE,
    TEXT,
    finding,
    judge,
    listed,
    missed,
    missed_body,
    review,
)

pytestmark = pytest.mark.every_database


@pytest.fixture
def scan(user):
    """Path of a scan of `user`: two findings of its first sentence, none of its second."""
    return f"/api/v1/scans/{user.scan(TEXT).json()['scan_id']}"


def faulty(answer):
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), answer.text
    return [error["field"] for error in answer.json()["errors"]]


def test_verdict_is_stored_and_shown_with_its_finding(user, scan):
    target = finding(user, scan)
    assert target["feedback"] is None
    answer = judge(user, scan, target["id"], "rejected", comment="Nur ein Beispiel \U0001f642")
    assert answer.status_code == 201
    stored = answer.json()
    assert stored["finding"] == target["id"]
    assert (stored["verdict"], stored["risk_types"]) == ("rejected", [])
    assert (stored["start"], stored["end"]) == (target["start"], target["end"])
    assert (stored["user_id"], stored["role"]) == (user.id, "user")
    assert finding(user, scan)["feedback"] == stored
    assert finding(user, scan, SCHEDULE)["feedback"] is None


@pytest.mark.parametrize(
    ("verdict", "body", "standing"),
    [
        ("confirmed", {}, [BUDGET]),
        ("rejected", {}, []),
        ("relabelled", {"risk_types": ["outage", SCHEDULE]}, [SCHEDULE, "outage"]),
        ("relabelled", {"risk_types": [BUDGET, SCHEDULE]}, [SCHEDULE, BUDGET]),
        ("relabelled", {"risk_types": ["Cost overrun or cost GROWTH"]}, ["cost-overrun"]),
    ],
)
def test_verdict_determines_the_types(user, scan, verdict, body, standing):
    answer = judge(user, scan, finding(user, scan)["id"], verdict, **body)
    assert answer.json()["risk_types"] == standing


def test_verdict_repeated_replaces_and_history_has_both(user, scan):
    n = finding(user, scan)["id"]
    first = judge(user, scan, n, "confirmed").json()
    answer = judge(user, scan, n, "rejected")
    assert answer.status_code == 200
    seen = review(user, scan, n)
    assert seen["own"] == answer.json()
    assert seen["history"] == [answer.json(), first]
    assert listed(user, scan) == [answer.json()]


def test_verdict_repeated_unchanged_stores_nothing(user, scan):
    n = finding(user, scan)["id"]
    first, again = judge(user, scan, n), judge(user, scan, n)
    assert (again.status_code, again.json()) == (200, first.json())
    assert len(review(user, scan, n)["history"]) == 1


def test_verdict_withdrawn_can_be_submitted_again(user, scan):
    n = finding(user, scan)["id"]
    path = f"{scan}/findings/{n}/feedback"
    assert user.http.delete(path).status_code == 404
    judge(user, scan, n)
    assert user.http.delete(path).status_code == 204
    assert user.http.delete(path).status_code == 404
    assert review(user, scan, n)["own"] is None
    assert [row["verdict"] for row in review(user, scan, n)["history"]] == [
        "withdrawn",
        "confirmed",
    ]
    assert listed(user, scan) == []
    assert judge(user, scan, n).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "verdict"),
        ({"verdict": "missed"}, "verdict"),
        ({"verdict": "relabelled"}, "risk_types"),
        ({"verdict": "relabelled", "risk_types": []}, "risk_types"),
        ({"verdict": "relabelled", "risk_types": [BUDGET]}, "risk_types"),
        ({"verdict": "relabelled", "risk_types": ["outage", "outage"]}, "risk_types"),
        ({"verdict": "relabelled", "risk_types": ["lock-in", "LOCK-IN"]}, "risk_types"),
        ({"verdict": "relabelled", "risk_types": ["money"]}, "risk_types.0"),
        ({"verdict": "confirmed", "risk_types": ["outage"]}, "risk_types"),
        ({"verdict": "confirmed", "comment": "x" * 2001}, "comment"),
        ({"verdict": "confirmed", "comment": "\x00"}, "comment"),
        ({"verdict": "confirmed", "colour": "red"}, "colour"),
    ],
)
def test_verdict_with_invalid_field_names_it(user, scan, body, field):
    n = finding(user, scan)["id"]
    assert faulty(user.http.put(f"{scan}/findings/{n}/feedback", json=body)) == [field]
    assert review(user, scan, n)["history"] == []


def test_verdict_as_form_is_415(user, scan):
    answer = user.http.put(f"{scan}/findings/1/feedback", data={"verdict": "confirmed"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "n", ["0", "3", "01", "\u0661", str(2**31), str(10**40), "9" * 5000, "-1", "x"]
)
def test_verdict_on_unknown_finding_is_not_found(user, scan, n):
    assert judge(user, scan, n).status_code == 404
    assert user.http.get(f"{scan}/findings/{n}/feedback").status_code == 404
    assert user.http.delete(f"{scan}/findings/{n}/feedback").status_code == 404


def test_missed_risk_is_stored_and_listed(user, scan):
    answer = missed(user, scan, risk_types=["outage", SCHEDULE], comment="See page 2.")
    assert answer.status_code == 201
    stored = answer.json()
    assert (stored["verdict"], stored["finding"], stored["context"]) == ("missed", None, BLUE)
    assert (stored["risk_types"], stored["comment"]) == ([SCHEDULE, "outage"], "See page 2.")
    assert listed(user, scan) == [stored]


def test_missed_risk_with_the_same_span_replaces_the_earlier_one(user, scan):
    first = missed(user, scan).json()
    answer = missed(user, scan, risk_types=["key-person"])
    assert answer.status_code == 200
    assert answer.json()["id"] != first["id"]
    assert listed(user, scan) == [answer.json()]


def test_missed_risk_withdrawn_by_its_id_is_gone(user, scan):
    path = f"{scan}/feedback/{missed(user, scan).json()['id']}"
    assert user.http.delete(path).status_code == 204
    assert user.http.delete(path).status_code == 404
    assert listed(user, scan) == []
    assert missed(user, scan).status_code == 201


def test_withdrawal_of_a_superseded_row_keeps_the_newest(user, scan):
    n = finding(user, scan)["id"]
    first, second = judge(user, scan, n).json(), judge(user, scan, n, "rejected").json()
    assert user.http.delete(f"{scan}/feedback/{first['id']}").status_code == 404
    assert listed(user, scan) == [second]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"context": "It is blue."}, "context"),
        ({"context": " " * len(BLUE)}, "context"),
        ({"context": ""}, "context"),
        ({"start": len(TEXT), "end": len(TEXT) + len(BLUE)}, "end"),
        ({"start": 5, "end": 5}, "end"),
        ({"start": -1}, "start"),
        ({"end": 2**31}, "end"),
        ({"start": True}, "start"),
        ({"risk_types": []}, "risk_types"),
        ({"risk_types": None}, "risk_types"),
        ({"context": None}, "context"),
        ({"verdict": "missed"}, "verdict"),
    ],
)
def test_missed_risk_with_invalid_field_names_it(user, scan, changed, field):
    answer = user.http.post(f"{scan}/feedback", json={**missed_body(), **changed})
    assert faulty(answer) == [field]
    assert listed(user, scan) == []


def test_missed_risk_at_a_finding_requires_its_sentence_and_another_type(user, scan):
    target = finding(user, scan)
    at = {"start": target["start"], "end": target["end"]}
    assert faulty(missed(user, scan, target["context"], [BUDGET], **at)) == ["risk_types"]
    assert faulty(missed(user, scan, target["context"].lower(), **at)) == ["context"]
    assert missed(user, scan, target["context"], ["outage"], **at).status_code == 201


def test_feedback_on_another_users_scan_is_not_found(new_user, user, scan):
    other = new_user()
    stored = judge(user, scan, 1).json()
    nowhere = f"/api/v1/scans/{uuid.uuid4()}"
    for path in (scan, nowhere):
        answers = [
            judge(other, path, 1),
            missed(other, path),
            other.http.get(f"{path}/findings"),
            other.http.get(f"{path}/feedback"),
            other.http.get(f"{path}/findings/1/feedback"),
            other.http.delete(f"{path}/findings/1/feedback"),
            other.http.delete(f"{path}/feedback/{stored['id']}"),
        ]
        assert [a.status_code for a in answers] == [404] * 7
    assert listed(user, scan) == [stored]


@pytest.mark.parametrize("role", ["reviewer", "admin"])
def test_verdict_of_a_reviewer_is_kept_beside_the_owners(user, scan, role, request):
    reviewer = request.getfixturevalue(role)
    n = finding(reviewer, scan)["id"]
    own = judge(user, scan, n, "rejected").json()
    decided = judge(reviewer, scan, n, "confirmed").json()
    assert decided["role"] == role
    seen = review(reviewer, scan, n)
    assert (seen["own"], seen["others"], seen["history"]) == (decided, [own], [decided, own])
    assert listed(reviewer, scan) == [decided, own]
    assert missed(reviewer, scan).status_code == 201


def test_feedback_list_of_an_owner_has_only_their_own(user, scan, reviewer):
    decided = judge(reviewer, scan, 1, "rejected").json()
    own = judge(user, scan, 1).json()
    assert review(user, scan, 1) == {"own": own, "others": [], "history": [own]}
    assert listed(user, scan) == [own]
    assert user.http.delete(f"{scan}/feedback/{decided['id']}").status_code == 404
    items = user.http.get(f"{scan}/findings").json()["items"]
    assert [f["feedback"] for f in items] == [own, None]


def test_feedback_list_of_a_reviewer_has_no_email_address(user, scan, reviewer):
    judge(user, scan, 1)
    answers = [
        reviewer.http.get(f"{scan}/feedback").text,
        reviewer.http.get(f"{scan}/findings/1/feedback").text,
    ]
    assert all(user.id in text and user.email not in text for text in answers)


def test_feedback_link_header_reaches_every_page(user, scan, reviewer):
    stored = [judge(user, scan, n).json()["id"] for n in (1, 2)]
    stored += [missed(user, scan).json()["id"], judge(reviewer, scan, 1).json()["id"]]
    seen, url = [], f"{scan}/feedback?per_page=3"
    while url:
        answer = reviewer.http.get(url)
        seen += [item["id"] for item in answer.json()["items"]]
        url = answer.links.get("next", {}).get("url")
    assert seen == stored[::-1]


def test_feedback_with_invalid_cursor_is_rejected(user, scan):
    assert faulty(user.http.get(f"{scan}/feedback?cursor=bm9uZQ==")) == ["cursor"]


def test_verdicts_sent_concurrently_end_in_one(user, scan):
    verdicts = ["confirmed", "rejected"] * 4
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda verdict: judge(user, scan, 1, verdict), verdicts))
    assert sorted(a.status_code for a in answers)[-2:] == [200, 201]
    seen = review(user, scan, 1)
    assert [row["id"] for row in listed(user, scan)] == [seen["own"]["id"]]
    assert seen["own"] == seen["history"][0]
    verdicts = [row["verdict"] for row in seen["history"]]
    assert all(one != other for one, other in itertools.pairwise(verdicts))


def test_scan_deleted_deletes_its_feedback(user, scan, reviewer):
    stored = [judge(reviewer, scan, 1).json(), missed(user, scan).json()]
    assert user.http.delete(scan).status_code == 204
    assert reviewer.http.get(f"{scan}/feedback").status_code == 404
    assert reviewer.http.get(f"{scan}/findings/1/feedback").status_code == 404
    assert {g["verdict"] for g in stored} == {"confirmed", "missed"}


def test_feedback_audit_events_contain_no_text(user, scan, admin):
    stored = judge(user, scan, 1, "rejected", comment="Secret remark.").json()
    judge(user, scan, 1, "rejected", comment="Secret remark.")
    reported = missed(user, scan, comment="Secret remark.").json()
    user.http.delete(f"{scan}/findings/1/feedback")
    events = admin.http.get("/api/admin/audit-events?per_page=3").json()["items"]
    actions = ["feedback.withdrawn", "feedback.given", "feedback.given"]
    assert [e["action"] for e in events] == actions
    assert [e["object_id"] for e in events[1:]] == [reported["id"], stored["id"]]
    assert {e["user_id"] for e in events} == {user.id}
    scan_id = scan.rsplit("/", 1)[-1]
    assert events[2]["detail"] == {
        "scan_id": scan_id,
        "finding": 1,
        "verdict": "rejected",
        "risk_types": [],
    }
    trail = json.dumps(events)
    assert BLUE not in trail
    assert "blue" not in trail
    assert "Secret" not in trail
