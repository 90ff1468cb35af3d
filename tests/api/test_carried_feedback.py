"""Verdicts and missed risks carry over to later scans of a document, and count once."""

import io
import json

import pytest

from service.domain.audit import Actor
from service.domain.reviews.export import FeedbackExport
from tests.api.reviewing import (
    BLUE,
    BUDGET,
    SCHEDULE,
    TEXT,
    finding,
    judge,
    listed,
    missed,
    review,
)
from tests.api.test_documents import document_of
from tests.api.test_reviews import agreement, queue
from tests.api.test_scan_again import scan_again

pytestmark = pytest.mark.every_database


def scanned(user, text=TEXT):
    return f"/api/v1/scans/{user.scan(text).raise_for_status().json()['scan_id']}"


def rescanned(user, scan, **body):
    document = document_of(user, scan.rsplit("/", 1)[-1])
    answer = scan_again(user, document, **body).raise_for_status()
    return f"/api/v1/scans/{answer.json()['scan_id']}"


def own(user, scan, risk_type=BUDGET):
    """Return the user's verdict on a finding with the scan that it was carried from."""
    feedback = finding(user, scan, risk_type)["feedback"]
    return feedback and (feedback["verdict"], feedback["carried_from"])


def id_of(scan):
    return scan.rsplit("/", 1)[-1]


@pytest.fixture
def scan(user):
    return scanned(user)


@pytest.fixture
def lines(live):
    """Export; return status and labels of the lines of each of some scans."""

    def read(*scans):
        file = io.StringIO()
        FeedbackExport(
            live.services.transactions, live.services.report_logs, secret_key="k" * 32
        ).write(file, actor=Actor(operator="test"))
        rows = [json.loads(line) for line in file.getvalue().splitlines()]
        own = [[r for r in rows if r["provenance"]["scan_id"] == id_of(scan)] for scan in scans]
        return [[(row["status"], row["labels"]) for row in of_scan] for of_scan in own]

    return read


def test_verdict_applies_to_the_same_finding_of_the_next_scans(user, scan):
    given = judge(user, scan, finding(user, scan)["id"], "rejected", comment="Alt.").json()
    assert given["carried_from"] is None
    for newer in (scanned(user), rescanned(user, scan)):
        carried = finding(user, newer)["feedback"]
        changed = ("id", "carried_from")
        assert {k: v for k, v in carried.items() if k not in changed} == {
            k: v for k, v in given.items() if k not in changed
        }
        assert (carried["carried_from"], carried["id"] != given["id"]) == (id_of(scan), True)
        assert own(user, newer, SCHEDULE) is None
        assert (review(user, newer, carried["finding"])["own"], listed(user, newer)) == (
            carried,
            [carried],
        )


def test_verdicts_of_every_user_carry_over(user, reviewer, admin, scan):
    judge(user, scan, n := finding(user, scan)["id"])
    judge(reviewer, scan, n, "rejected")
    newer = rescanned(user, scan)
    assert own(user, newer) == ("confirmed", id_of(scan))
    assert own(reviewer, newer) == ("rejected", id_of(scan))
    roles = {row["verdict"]: row["role"] for row in review(admin, newer, n)["others"]}
    assert roles == {"confirmed": "user", "rejected": "reviewer"}


def test_verdict_does_not_carry_over_to_another_text_or_user(user, new_user, scan):
    judge(user, scan, finding(user, scan)["id"])
    assert own(user, scanned(user, f"{TEXT} Well.")) is None
    other = new_user()
    assert own(other, scanned(other)) is None


def test_verdict_carries_over_past_a_scan_without_its_finding(user):
    text = "The supplier may go bankrupt. The team is new to the language."
    answer = user.http.post("/api/scan", json={"text": text, "sensitivity": "recall"})
    first = f"/api/v1/scans/{answer.json()['scan_id']}"
    items = user.http.get(f"{first}/findings").json()["items"]
    for item in items:
        judge(user, first, item["id"])
    second = rescanned(user, first, sensitivity="precision")
    assert len(user.http.get(f"{second}/findings").json()["items"]) < len(items)
    third = rescanned(user, first, sensitivity="recall")
    again = user.http.get(f"{third}/findings").json()["items"]
    assert [item["feedback"]["carried_from"] for item in again] == [id_of(first)] * len(items)


def test_verdict_of_the_second_of_two_equal_sentences_stays_with_the_second(user):
    scan = scanned(user, "We have a tight budget.\nAll is well.\nWe have a tight budget.")
    _, second = user.http.get(f"{scan}/findings").json()["items"]
    judge(user, scan, second["id"], "rejected")
    items = user.http.get(f"{rescanned(user, scan)}/findings").json()["items"]
    assert [item["feedback"] and item["feedback"]["verdict"] for item in items] == [
        None,
        "rejected",
    ]


def test_carried_verdict_can_be_overruled_and_restored(user, scan):
    n = finding(user, scan)["id"]
    judge(user, scan, n)
    newer = rescanned(user, scan)
    assert judge(user, newer, n, "rejected").status_code == 200
    assert own(user, newer) == ("rejected", None)
    assert own(user, scan) == ("confirmed", None)
    assert judge(user, newer, n).status_code == 200
    assert own(user, newer) == ("confirmed", None)
    history = review(user, newer, n)["history"]
    assert [row["carried_from"] for row in history] == [None, None, id_of(scan)]
    assert own(user, rescanned(user, newer)) == ("confirmed", id_of(newer))


def test_carried_verdict_confirmed_by_hand_is_given_in_this_scan(user, scan):
    judge(user, scan, n := finding(user, scan)["id"])
    newer = rescanned(user, scan)
    first, again = judge(user, newer, n).json(), judge(user, newer, n).json()
    assert (first["carried_from"], first) == (None, again)


def test_carried_verdict_withdrawn_stays_withdrawn_in_later_scans(user, scan, lines):
    judge(user, scan, n := finding(user, scan)["id"])
    newer = rescanned(user, scan)
    assert user.http.delete(f"{newer}/findings/{n}/feedback").status_code == 204
    assert own(user, newer) is own(user, third := rescanned(user, newer)) is None
    assert own(user, scan) == ("confirmed", None)
    assert lines(scan, newer, third) == [[], [], []]


def test_verdict_changed_or_withdrawn_in_the_earlier_scan_changes_its_copies(user, scan):
    judge(user, scan, n := finding(user, scan)["id"])
    newer = rescanned(user, scan)
    newest = rescanned(user, newer)
    judge(user, scan, n, "rejected")
    assert own(user, newer) == own(user, newest) == ("rejected", id_of(scan))
    user.http.delete(f"{scan}/findings/{n}/feedback").raise_for_status()
    assert own(user, newer) is own(user, newest) is own(user, rescanned(user, scan)) is None
    judge(user, scan, n)
    assert own(user, newest) == ("confirmed", id_of(scan))


def test_verdict_changed_in_the_earlier_scan_leaves_an_overruled_copy(user, scan):
    judge(user, scan, n := finding(user, scan)["id"])
    newer = rescanned(user, scan)
    judge(user, newer, n, "relabelled", risk_types=["outage"])
    judge(user, scan, n, "rejected")
    assert own(user, newer) == ("relabelled", None)


def test_missed_risk_carries_over_and_can_be_withdrawn(user, scan, lines):
    given = missed(user, scan, comment="Blau!").json()
    newer = rescanned(user, scan)
    [carried] = listed(user, newer)
    changed = {"id": carried["id"], "carried_from": id_of(scan)}
    assert carried == {**given, **changed}
    assert lines(scan, newer) == [[], [("single", ["outage"])]]
    assert user.http.delete(f"{newer}/feedback/{carried['id']}").status_code == 204
    assert listed(user, newer) == listed(user, rescanned(user, newer)) == []
    assert listed(user, scan) == [given]


def test_missed_risk_whose_sentence_is_not_in_the_text_does_not_carry_over(user, scan):
    missed(user, scan, BLUE.upper()).raise_for_status()
    assert listed(user, rescanned(user, scan)) == []


def test_export_has_a_carried_verdict_once_with_the_newest_scan(user, reviewer, scan, lines):
    for risk_type in (BUDGET, SCHEDULE):
        judge(user, scan, finding(user, scan, risk_type)["id"])
    both = ("single", [SCHEDULE, BUDGET])
    assert lines(scan) == [[both]]
    newer = rescanned(user, scan)
    assert lines(scan, newer) == [[], [both]]
    judge(reviewer, newer, finding(user, newer)["id"], "rejected")
    assert lines(scan, newer) == [[], [("single", [SCHEDULE])]]
    user.http.delete(newer).raise_for_status()
    assert lines(scan) == [[both]]


def test_export_keeps_a_carried_verdict_whose_first_scan_is_deleted(user, scan, lines):
    for n in (1, 2):
        judge(user, scan, n)
    newer = rescanned(user, scan)
    user.http.delete(scan).raise_for_status()
    assert own(user, newer) == ("confirmed", id_of(scan))
    assert lines(newer) == [[("single", [SCHEDULE, BUDGET])]]


def test_export_keeps_a_sentence_where_all_its_findings_were_judged(user, scan, lines):
    """A later scan that hides one of two findings shows the verdict on the other, but does not count it."""
    for n in (1, 2):
        judge(user, scan, n)
    user.http.put("/api/settings", json={"thresholds": {"schedule": 1.0}}).raise_for_status()
    newer = rescanned(user, scan)
    assert own(user, newer) == ("confirmed", id_of(scan))
    assert lines(scan, newer) == [[("single", [SCHEDULE, BUDGET])], []]
    judge(user, newer, 1, "rejected")
    assert lines(scan, newer) == [[("partial", [SCHEDULE, BUDGET])], [("single", [])]]


def test_agreement_counts_the_verdicts_of_a_document_once(user, reviewer, admin, scan):
    category = finding(user, scan)["category"]
    before = agreement(admin, category)
    judge(user, scan, n := finding(user, scan)["id"])
    judge(reviewer, scan, n, "rejected")
    once = agreement(admin, category)
    assert once["n_judged"] == before["n_judged"] + 1
    newer = rescanned(user, scan)
    rescanned(user, newer)
    assert agreement(admin, category) == once


def test_carried_disagreement_is_disputed_once(user, reviewer, admin, scan):
    judge(user, scan, n := finding(user, scan)["id"])
    judge(reviewer, scan, n, "rejected")
    newer = rescanned(user, scan)
    places = [len(queue(admin, path, kind="disputed")) for path in (scan, newer)]
    assert places == [0, 1]
    assert n not in [item["finding"] for item in queue(reviewer, newer)]
