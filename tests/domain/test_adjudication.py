"""Verdicts of different people settle to what stands, and how firmly."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from service.domain.reviews.adjudication import (
    Review,
    Settled,
    Status,
    deciding,
    in_order,
    settle,
    settle_sentence,
)

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
FOUND = ("tight-budget",)


def verdict(user, *risk_types, reviewer=False, minute=0):
    at = NOON + timedelta(minutes=minute)
    return Review(UUID(int=user), reviewer, frozenset(risk_types), at)


@pytest.mark.parametrize(
    ("verdicts", "status", "standing"),
    [
        ([], Status.PARTIAL, FOUND),
        ([verdict(1)], Status.SINGLE, ()),
        ([verdict(1, "outage")], Status.SINGLE, ("outage",)),
        ([verdict(1), verdict(2)], Status.AGREED, ()),
        ([verdict(1, *FOUND), verdict(2, *FOUND), verdict(3, *FOUND)], Status.AGREED, FOUND),
        ([verdict(1), verdict(2, "outage")], Status.DISPUTED, FOUND),
        ([verdict(1), verdict(2), verdict(3, "outage")], Status.DISPUTED, FOUND),
        ([verdict(1, reviewer=True)], Status.ADJUDICATED, ()),
    ],
)
def test_settle(verdicts, status, standing):
    assert settle(verdicts, found=FOUND) == Settled(status, standing)
    assert settle(verdicts[::-1], found=FOUND) == Settled(status, standing)


def test_settle_a_reviewer_decides_over_later_plain_users():
    verdicts = [verdict(1, "outage", reviewer=True), verdict(2, minute=1), verdict(3, minute=2)]
    assert settle(verdicts, found=FOUND) == Settled(Status.ADJUDICATED, ("outage",))


@pytest.mark.parametrize(("first", "second", "standing"), [(0, 1, ("outage",)), (1, 0, ())])
def test_settle_the_latest_reviewer_overrules(first, second, standing):
    verdicts = [
        verdict(1, reviewer=True, minute=first),
        verdict(2, "outage", reviewer=True, minute=second),
    ]
    assert settle(verdicts, found=FOUND) == Settled(Status.ADJUDICATED, standing)


def test_settle_of_one_moment_does_not_hang_on_the_order():
    verdicts = [verdict(1, reviewer=True), verdict(2, "outage", reviewer=True)]
    assert settle(verdicts, found=FOUND) == settle(verdicts[::-1], found=FOUND)


def test_settle_disputed_missed_risks_leave_nothing():
    disputed = settle([verdict(1, "outage"), verdict(2, "key-person")], found=())
    assert disputed == Settled(Status.DISPUTED, ())


@pytest.mark.parametrize("weakest", Status)
def test_sentence_is_as_firm_as_its_weakest_part(weakest):
    parts = [Settled(status, ()) for status in Status if status >= weakest]
    assert settle_sentence(parts).status is weakest


def test_sentence_has_what_stands_of_all_parts_once_in_the_taxonomys_order():
    parts = [
        Settled(Status.SINGLE, ("outage", "tight-budget")),
        Settled(Status.SINGLE, ("tight-budget", "aggressive-deadline")),
    ]
    standing = ("aggressive-deadline", "tight-budget", "outage")
    assert settle_sentence(parts).risk_types == standing == in_order(standing)


def test_deciding_is_the_latest_reviewer_else_the_latest_user():
    plain = [verdict(1, minute=1), verdict(2, minute=3)]
    assert deciding(plain) == plain[1]
    reviewer = verdict(3, reviewer=True, minute=2)
    assert deciding([*plain, reviewer]) == reviewer


def test_risk_type_of_an_older_taxonomy_comes_last_and_stays():
    assert in_order(["retired", "vulnerability", "tight-budget"]) == (
        "tight-budget",
        "vulnerability",
        "retired",
    )
