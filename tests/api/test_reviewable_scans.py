"""Which scans of other users each role may list and open."""

import itertools

import pytest

from tests.support.sentences import FLOW_TEXT

REVIEWERS = ["reviewer", "admin"]


@pytest.fixture
def scans(new_user):
    """Scans of two users, oldest first, as (id, owner's id)."""
    return [(owner.scan().json()["scan_id"], owner.id) for owner in (new_user(), new_user())]


def newest(user, **params):
    """Return the scans that a user lists, newest first, as (id, owner's id)."""
    answer = user.http.get("/api/v1/scans", params=params).raise_for_status()
    return [(item["scan_id"], item["user_id"]) for item in answer.json()["items"]]


@pytest.mark.parametrize("role", REVIEWERS)
def test_reviewer_lists_and_opens_scans_of_everyone(scans, role, request):
    reviewer = request.getfixturevalue(role)
    assert newest(reviewer, scope="reviewable", per_page=2) == scans[::-1]
    for scan_id, owner_id in scans:
        opened = reviewer.http.get(f"/api/v1/scans/{scan_id}").raise_for_status().json()
        assert (opened["user_id"], opened["n_findings"]) == (owner_id, 2)
        findings = reviewer.http.get(f"/api/v1/scans/{scan_id}/findings").json()["items"]
        assert [f["context"] for f in findings] == [FLOW_TEXT] * 2


@pytest.mark.parametrize("role", [*REVIEWERS, "user"])
@pytest.mark.parametrize("scope", [{}, {"scope": "own"}])
@pytest.mark.usefixtures("scans")
def test_scope_own_is_the_default_and_has_only_the_callers_scans(role, scope, request):
    caller = request.getfixturevalue(role)
    scan_id = caller.scan().json()["scan_id"]
    assert newest(caller, **scope) == [(scan_id, caller.id)]


def test_scope_reviewable_of_a_user_has_only_their_own(user, scans):
    scan_id = user.scan().json()["scan_id"]
    assert newest(user, scope="reviewable") == [(scan_id, user.id)]
    for other_id, _ in scans:
        for path in (f"/api/v1/scans/{other_id}", f"/api/v1/scans/{other_id}/findings"):
            assert user.http.get(path).status_code == 404


def test_scope_reviewable_combines_with_filters(scans, reviewer):
    chosen = {"scope": "reviewable", "category": "Budget", "q": "tight"}
    assert newest(reviewer, **chosen, per_page=2) == scans[::-1]
    assert newest(reviewer, scope="reviewable", q="no such words") == []


def test_scope_reviewable_link_header_reaches_every_page(scans, reviewer):
    seen, url = [], "/api/v1/scans?scope=reviewable&per_page=1"
    for _ in range(2):
        answer = reviewer.http.get(url)
        seen += [item["scan_id"] for item in answer.json()["items"]]
        url = answer.links["next"]["url"]
    assert seen == [scan_id for scan_id, _ in scans[::-1]]


def test_scope_reviewable_pages_by_number_and_cursor_agree(scans, reviewer):
    listed = newest(reviewer, scope="reviewable")
    assert listed[:2] == scans[::-1]
    pages = [newest(reviewer, scope="reviewable", page=n, per_page=1) for n in (1, 2)]
    assert [*itertools.chain(*pages)] == listed[:2]


def test_scope_reviewable_total_counts_everyones_scans(scans, reviewer):
    answer = reviewer.http.get("/api/v1/scans?scope=reviewable&per_page=1").json()
    assert answer["total"] >= len(scans)


def test_scope_unknown_is_rejected_by_name(reviewer):
    answer = reviewer.http.get("/api/v1/scans?scope=everything")
    assert [e["field"] for e in answer.json()["errors"]] == ["scope"]
