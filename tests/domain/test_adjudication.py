"""Adjudication: the verdicts of several people become risk types and a status."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from service.domain.adjudication import (
    Review,
    Settled,
    Status,
    deciding,
    in_order,
    settle,
    settle_sentence,
)

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
PREDICTED = ("tight-budget",)


def verdict(user, *risk_types, reviewer=False, minute=0):
    at = NOON + timedelta(minutes=minute)
    return Review(UUID(int=user), reviewer, frozenset(risk_types), at)


@pytest.mark.parametrize(
    ("verdicts", "status", "risk_types"),
    [
        ([], Status.PARTIAL, PREDICTED),
        ([verdict(1)], Status.SINGLE, ()),
        ([verdict(1, "outage")], Status.SINGLE, ("outage",)),
        ([verdict(1), verdict(2)], Status.AGREED, ()),
        (
            [verdict(1, *PREDICTED), verdict(2, *PREDICTED), verdict(3, *PREDICTED)],
            Status.AGREED,
            PREDICTED,
        ),
        ([verdict(1), verdict(2, "outage")], Status.DISPUTED, PREDICTED),
        ([verdict(1), verdict(2), verdict(3, "outage")], Status.DISPUTED, PREDICTED),
        ([verdict(1, reviewer=True)], Status.ADJUDICATED, ()),
    ],
)
def test_settle_verdicts_gives_status_and_risk_types(verdicts, status, risk_types):
    assert settle(verdicts, original=PREDICTED) == Settled(status, risk_types)
    assert settle(verdicts[::-1], original=PREDICTED) == Settled(status, risk_types)


def test_settle_a_reviewers_verdict_overrules_later_users():
    verdicts = [verdict(1, "outage", reviewer=True), verdict(2, minute=1), verdict(3, minute=2)]
    assert settle(verdicts, original=PREDICTED) == Settled(Status.ADJUDICATED, ("outage",))


@pytest.mark.parametrize(("first", "second", "risk_types"), [(0, 1, ("outage",)), (1, 0, ())])
def test_settle_the_latest_reviewer_overrules(first, second, risk_types):
    verdicts = [
        verdict(1, reviewer=True, minute=first),
        verdict(2, "outage", reviewer=True, minute=second),
    ]
    assert settle(verdicts, original=PREDICTED) == Settled(Status.ADJUDICATED, risk_types)


def test_settle_verdicts_of_one_moment_ignores_their_order():
    verdicts = [verdict(1, reviewer=True), verdict(2, "outage", reviewer=True)]
    assert settle(verdicts, original=PREDICTED) == settle(verdicts[::-1], original=PREDICTED)


def test_settle_disputed_missed_risks_gives_no_type():
    disputed = settle([verdict(1, "outage"), verdict(2, "key-person")], original=())
    assert disputed == Settled(Status.DISPUTED, ())


@pytest.mark.parametrize("weakest", Status)
def test_settle_sentence_has_the_weakest_status_of_its_parts(weakest):
    parts = [Settled(status, ()) for status in Status if status >= weakest]
    assert settle_sentence(parts).status is weakest


def test_settle_sentence_merges_the_types_of_its_parts_in_alphabetical_order():
    parts = [
        Settled(Status.SINGLE, ("outage", "tight-budget")),
        Settled(Status.SINGLE, ("tight-budget", "aggressive-deadline")),
    ]
    risk_types = ("aggressive-deadline", "outage", "tight-budget")
    assert settle_sentence(parts).risk_types == risk_types == in_order(risk_types)


def test_deciding_prefers_the_latest_reviewer_to_later_users():
    plain = [verdict(1, minute=1), verdict(2, minute=3)]
    assert deciding(plain) == plain[1]
    reviewer = verdict(3, reviewer=True, minute=2)
    assert deciding([*plain, reviewer]) == reviewer
