"""GET /reviews/queue, /agreement and /summary: what waits, who agrees, and how much there is."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.api.reviewing import TEXT, judge

pytestmark = pytest.mark.every_database


@pytest.fixture
def scan(user):
    """Path of a scan of `user` with at least two findings."""
    return f"/api/v1/scans/{user.scan(TEXT).json()['scan_id']}"


def queue(account, scan, **query):
    answer = account.http.get("/api/reviews/queue", params={"per_page": 100, **query})
    items = answer.raise_for_status().json()["items"]
    return [item for item in items if scan.endswith(item["scan_id"])]


def test_queue_begins_with_the_score_nearest_its_threshold(reviewer, scan):
    items = reviewer.http.get("/api/reviews/queue").json()["items"]
    distances = [abs(item["score"] - item["threshold"]) for item in items]
    assert distances == sorted(distances)
    assert queue(reviewer, scan)


def test_judged_finding_leaves_the_queue_of_every_reviewer(reviewer, admin, scan):
    [first, *_] = queue(reviewer, scan)
    judge(reviewer, scan, first["finding"])
    for account in (reviewer, admin):
        assert first["finding"] not in [item["finding"] for item in queue(account, scan)]


def test_owners_verdict_leaves_the_finding_to_the_reviewers(user, reviewer, scan):
    [first, *_] = queue(reviewer, scan)
    judge(user, scan, first["finding"])
    assert first["finding"] in [item["finding"] for item in queue(reviewer, scan)]


def test_queue_of_a_category_has_no_other(reviewer, scan):
    [first, *_] = queue(reviewer, scan)
    items = queue(reviewer, scan, category=first["category"])
    assert {item["category"] for item in items} == {first["category"]}


def test_finding_on_which_users_differ_is_disputed_until_the_caller_decides(
    user, reviewer, admin, scan
):
    judge(user, scan, 1)
    judge(reviewer, scan, 1, verdict="rejected")
    [item] = queue(admin, scan, kind="disputed")
    assert (item["finding"], sorted(item["answers"])) == (1, [[], [item["risk_type"]]])
    assert not queue(reviewer, scan, kind="disputed")
    judge(admin, scan, 1)
    assert not queue(admin, scan, kind="disputed")


def test_finding_on_which_users_agree_is_not_disputed(user, reviewer, admin, scan):
    judge(user, scan, 1)
    judge(reviewer, scan, 1)
    assert not queue(admin, scan, kind="disputed")


def agreement(account, category):
    items = account.http.get("/api/reviews/agreement").json()["items"]
    none = {"n_judged": 0, "n_pairs": 0, "n_agreeing": 0}
    return next((item for item in items if item["category"] == category), none)


def test_agreement_counts_pairs_of_users_by_category(user, reviewer, admin, scan):
    category = user.http.get(f"{scan}/findings").json()["items"][0]["category"]
    before = agreement(admin, category)
    judge(user, scan, 1)
    judge(reviewer, scan, 1, verdict="rejected")
    judge(admin, scan, 1)
    after = agreement(admin, category)
    added = {name: after[name] - before[name] for name in ("n_judged", "n_pairs", "n_agreeing")}
    assert added == {"n_judged": 1, "n_pairs": 3, "n_agreeing": 1}


def test_summary_counts_the_callers_findings_by_day_and_verdict(user, scan):
    n = len(user.http.get(f"{scan}/findings").json()["items"])
    judge(user, scan, 1)
    summary = user.http.get("/api/reviews/summary").json()
    assert (summary["n_open"], summary["n_judged"]) == (n - 1, 1)
    assert sum(row["n"] for row in summary["days"]) == n
    now = datetime.now(UTC)  # the scan may be of yesterday if this runs at midnight
    possible = {str((now - timedelta(minutes=n)).date()) for n in (0, 10)}
    assert {row["day"] for row in summary["days"]} <= possible


@pytest.mark.usefixtures("scan")
def test_summary_of_everyone_is_for_reviewers(reviewer, new_user):
    other, everyone = new_user(), {"scope": "reviewable"}
    counts = {
        account: account.http.get("/api/reviews/summary", params=everyone).json()["n_open"]
        for account in (other, reviewer)
    }
    assert counts[other] == 0
    assert counts[reviewer] > 0
