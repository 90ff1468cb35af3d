"""Reads of others' sentences: the audit trail says whose; a list is one event for each answer."""

import pytest

from tests.support.sentences import FLOW_TEXT

TEXT = f"{FLOW_TEXT}. All is well here."


@pytest.fixture(scope="module")
def live(database_url, start_service):
    """A service that draws every sentence for the sample."""
    return start_service(DATABASE_URL=database_url, REVIEW_SAMPLE_SHARE="1")


def reads(admin, reviewer):
    query = {"action": "foreign.read", "user_id": reviewer.id, "per_page": 100}
    answer = admin.http.get("/api/v1/admin/audit-events", params=query)
    return answer.raise_for_status().json()["items"]


def shown(reviewer, name):
    """Return the scans of which a list shows sentences."""
    answer = reviewer.http.get(f"/api/v1/reviews/{name}", params={"per_page": 100})
    return {item["scan_id"] for item in answer.raise_for_status().json()["items"]}


def scan(user, text=TEXT):
    return user.scan(text).raise_for_status().json()["scan_id"]


@pytest.mark.parametrize("name", ["queue", "sample"])
def test_list_is_recorded_once_with_the_scans_of_others(admin, reviewer, new_user, name):
    users = [new_user(), new_user()]
    owners = {scan(user): user.id for user in users} | {scan(users[0], f"{TEXT} Yes."): users[0].id}
    own = scan(reviewer)
    for _ in range(2):
        assert shown(reviewer, name) >= owners.keys() | {own}
    [read] = reads(admin, reviewer)
    assert (read["object_type"], read["object_id"]) == (f"review_{name}", None)
    recorded = read["detail"]["owner_of_scan"]
    assert owners.items() <= recorded.items()
    assert own not in recorded


def test_scan_that_is_new_in_a_list_is_recorded_alone(admin, reviewer, user):
    shown(reviewer, "queue")
    new = scan(user)
    shown(reviewer, "queue")
    assert reads(admin, reviewer)[0]["detail"] == {"owner_of_scan": {new: user.id}}


def test_scan_that_is_opened_from_a_list_is_recorded_too(admin, reviewer, user):
    scan_id = scan(user)
    for _ in range(2):
        shown(reviewer, "queue")
        reviewer.http.get(f"/api/v1/scans/{scan_id}").raise_for_status()
    kinds = [read["object_type"] for read in reads(admin, reviewer)]
    assert kinds == ["scan", "review_queue"]


def test_scan_that_was_opened_before_is_not_recorded_again(admin, reviewer, user):
    shown(reviewer, "queue")
    scan_id = scan(user)
    reviewer.http.get(f"/api/v1/scans/{scan_id}").raise_for_status()
    n_reads = len(reads(admin, reviewer))
    assert scan_id in shown(reviewer, "queue")
    assert len(reads(admin, reviewer)) == n_reads


@pytest.mark.parametrize("is_named", [True, False])
def test_comparison_of_two_scans_is_a_read_of_both(admin, reviewer, user, is_named):
    older = scan(user)
    document = user.http.get(f"/api/v1/scans/{older}").json()["document_id"]
    body = {"text": "All is well.", "document": document}
    newer = user.http.post("/api/v1/scan", json=body).raise_for_status().json()["scan_id"]
    query = {"since": older} if is_named else {}
    answer = reviewer.http.get(f"/api/v1/scans/{newer}/changes", params=query).raise_for_status()
    assert answer.json()["n_gone"] > 0
    recorded = {read["object_id"]: read["detail"] for read in reads(admin, reviewer)}
    assert recorded == {key: {"owner_id": user.id} for key in (older, newer)}
