"""Verdicts and missed risks: permissions, revisions and refusals."""

import dataclasses

import pytest

from db.tables import Role, Verdict
from service.domain.reviews.missed import Missed
from service.domain.reviews.reviews import (
    Judgement,
    judge,
    list_feedback,
    list_findings,
    review_finding,
    withdraw,
    withdraw_verdict,
)
from service.errors import InvalidRequest, NotFound
from service.nlp.pipeline import Submission
from tests.domain.conftest import END, SENTENCE, START, TEXT

CONFIRMED, REJECTED = Judgement(Verdict.CONFIRMED), Judgement(Verdict.REJECTED)
DOCUMENT = Submission(text=TEXT)
WELL = "All is well."
MISSED = Missed(TEXT.index(WELL), TEXT.index(WELL) + len(WELL), WELL, ("key-person",))
UNKNOWN_N = 2**31


@pytest.fixture
def reviewer(add_user):
    return add_user(Role.REVIEWER)


@pytest.fixture
def report(reviews, user, scan):
    """Report a missed risk as the owner of the scan."""
    return lambda missed, document=None: reviews.report_missed(
        user, scan.id, missed, document=document
    )


@pytest.fixture
def judge_as(transactions, scan):
    """Judge finding 1 of the scan as a user."""
    return lambda user, judgement, n=1: transactions.run(judge, user, scan.id, n, judgement)


def test_judge_stores_a_verdict_and_replaces_the_earlier_one(judge_as, user, events):
    first, is_first = judge_as(user, CONFIRMED)
    second, is_second_first = judge_as(user, REJECTED)
    assert (is_first, is_second_first) == (True, False)
    assert [(row.revision, row.risk_types) for row in (first, second)] == [
        (1, ["tight-budget"]),
        (2, []),
    ]
    assert events()[:2] == ["feedback.given"] * 2


def test_judge_the_same_again_stores_nothing(judge_as, user, events):
    first, again = judge_as(user, CONFIRMED)[0], judge_as(user, CONFIRMED)[0]
    assert first.id == again.id
    assert events().count("feedback.given") == 1


def test_judge_relabelled_keeps_the_types_in_the_taxonomys_order(judge_as, user):
    types = ("outage", "aggressive-deadline")
    row, _ = judge_as(user, Judgement(Verdict.RELABELLED, types, "Both."))
    assert (row.risk_types, row.comment) == (["aggressive-deadline", "outage"], "Both.")


def test_judge_relabelled_with_its_own_type_is_refused(judge_as, user):
    with pytest.raises(InvalidRequest, match="confirm it instead"):
        judge_as(user, Judgement(Verdict.RELABELLED, ("tight-budget",)))


@pytest.mark.parametrize("n", [3, UNKNOWN_N])
def test_judge_an_unknown_finding_is_not_found(judge_as, user, n):
    with pytest.raises(NotFound):
        judge_as(user, CONFIRMED, n)


def test_judge_a_scan_of_another_user_needs_a_reviewer(judge_as, add_user, reviewer):
    with pytest.raises(NotFound, match="review"):
        judge_as(add_user(), CONFIRMED)
    assert judge_as(reviewer, CONFIRMED)[0].role == "reviewer"


def test_withdraw_verdict_leaves_none_and_the_next_is_the_first(
    transactions, judge_as, user, scan, events
):
    judge_as(user, CONFIRMED)
    transactions.run(withdraw_verdict, user, scan.id, 1)
    assert events()[0] == "feedback.withdrawn"
    assert transactions.read(review_finding, user, scan.id, 1).own is None
    with pytest.raises(NotFound, match="withdraw"):
        transactions.run(withdraw_verdict, user, scan.id, 1)
    assert judge_as(user, CONFIRMED)[1]


def test_withdraw_by_id_accepts_only_the_users_current_feedback(
    transactions, judge_as, user, reviewer, scan
):
    older, current = judge_as(user, CONFIRMED)[0], judge_as(user, REJECTED)[0]
    for who, row in [(reviewer, current), (user, older)]:
        with pytest.raises(NotFound):
            transactions.run(withdraw, who, scan.id, row.id)
    transactions.run(withdraw, user, scan.id, current.id)
    assert transactions.read(list_feedback, user, scan.id, limit=9) == []


def test_review_finding_shows_others_verdicts_to_reviewers_alone(
    transactions, judge_as, user, reviewer, scan
):
    own, other = judge_as(reviewer, CONFIRMED)[0], judge_as(user, REJECTED)[0]
    by_reviewer = transactions.read(review_finding, reviewer, scan.id, 1)
    assert (by_reviewer.own.id, [row.id for row in by_reviewer.others]) == (own.id, [other.id])
    by_owner = transactions.read(review_finding, user, scan.id, 1)
    assert (by_owner.own.id, list(by_owner.others)) == (other.id, [])
    assert [row.id for row in by_owner.history] == [other.id]


def test_list_feedback_shows_an_owner_their_own_and_a_reviewer_everyones(
    transactions, judge_as, user, reviewer, scan
):
    judge_as(reviewer, CONFIRMED)
    judge_as(user, REJECTED)
    assert [
        len(transactions.read(list_feedback, who, scan.id, limit=9)) for who in (user, reviewer)
    ] == [1, 2]


def test_list_findings_gives_each_with_the_users_own_verdict(transactions, judge_as, user, scan):
    row = judge_as(user, REJECTED, 2)[0]
    _, findings = transactions.read(list_findings, user, scan.id, after_n=0, limit=9)
    assert [(f.n, own and own.id) for f, own in findings] == [(1, None), (2, row.id)]
    _, rest = transactions.read(list_findings, user, scan.id, after_n=1, limit=9)
    assert [f.n for f, _ in rest] == [2]


def test_report_missed_with_its_document_is_verified(report):
    row, is_first = report(MISSED, document=DOCUMENT)
    assert (row.verified, is_first, row.context) == (True, True, WELL)


def test_report_missed_in_the_stored_text_is_verified(report):
    assert report(MISSED)[0].verified


def test_report_missed_of_another_sentence_is_unverified_until_corrected(report):
    other = dataclasses.replace(MISSED, context=MISSED.context[::-1])
    assert not report(other)[0].verified
    row, is_first = report(MISSED, document=DOCUMENT)
    assert (row.verified, is_first) == (True, False)
    assert report(MISSED)[0].id == row.id


def test_report_missed_at_a_finding_is_verified_by_it(report):
    missed = Missed(START, END, SENTENCE, ("outage",))
    assert report(missed)[0].verified


@pytest.mark.parametrize(
    ("missed", "field"),
    [
        (Missed(START, END, SENTENCE, ("tight-budget",)), "risk_types"),
        (Missed(START, END, SENTENCE.upper(), ("outage",)), "context"),
        (Missed(0, 3, "Thee", ("outage",)), "context"),
        (Missed(0, len(TEXT) + 1, TEXT + "!", ("outage",)), "end"),
    ],
    ids=["finding", "other text", "length", "beyond"],
)
def test_report_missed_with_impossible_values_is_refused(report, missed, field):
    with pytest.raises(InvalidRequest) as caught:
        report(missed)
    assert [fault.field for fault in caught.value.faults] == [field]


@pytest.mark.parametrize(
    ("missed", "document", "field"),
    [
        (MISSED, Submission(text=TEXT + "!"), "text"),
        (MISSED, Submission(data=b"another file"), "file"),
        (Missed(0, 3, "Any", ("outage",)), DOCUMENT, "context"),
    ],
    ids=["other text", "other file", "other sentence"],
)
def test_report_missed_contradicting_its_document_is_refused(report, missed, document, field):
    with pytest.raises(InvalidRequest) as caught:
        report(missed, document=document)
    assert [fault.field for fault in caught.value.faults] == [field]
