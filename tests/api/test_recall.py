"""Random sentences without a finding: drawn, judged by reviewers, and the recall that follows."""

import pytest

from tests.api.reviewing import judge, listed
from tests.support.sentences import FLOW_TEXT

pytestmark = pytest.mark.every_database

PLAIN = [f"The {name} of the office is on floor {n}." for n, name in enumerate("ABCDEFGHIJ")]
TEXT = "\n".join([*PLAIN, f"{FLOW_TEXT}.", PLAIN[0], "12.5", "--"])


@pytest.fixture(scope="module")
def live(database_url, start_service):
    """A service that draws every sentence."""
    return start_service(DATABASE_URL=database_url, REVIEW_SAMPLE_SHARE="1")


def sampled(user, text=TEXT, **rest):
    """Scan a text; return the path of the scan."""
    answer = user.http.post("/api/scan", json={"text": text, **rest}).raise_for_status()
    return f"/api/v1/scans/{answer.json()['scan_id']}"


def waiting(reviewer, scan):
    """The open sample of a scan, in the order in which reviewers are asked."""
    query = {"per_page": 100}
    items = reviewer.http.get("/api/v1/reviews/sample", params=query).raise_for_status().json()
    return [item for item in items["items"] if scan.endswith(item["scan_id"])]


def answer(reviewer, item, *risk_types):
    path = f"/api/v1/scans/{item['scan_id']}/samples/{item['sample']}/feedback"
    return reviewer.http.put(path, json={"risk_types": [*risk_types]})


def recall(reviewer):
    return reviewer.http.get("/api/v1/reviews/recall").raise_for_status().json()


def settle(reviewer, scan, verdict="confirmed"):
    for finding in reviewer.http.get(f"{scan}/findings").json()["items"]:
        judge(reviewer, scan, finding["id"], verdict).raise_for_status()


def clear(reviewer):
    """Answer everything that waits, so that a test begins with its own scans."""
    while items := reviewer.http.get("/api/v1/reviews/sample").json()["items"]:
        for item in items:
            answer(reviewer, item).raise_for_status()


def test_sample_has_each_sentence_without_a_finding_once_in_an_order_that_repeats(user, reviewer):
    scan = sampled(user)
    items = waiting(reviewer, scan)
    assert sorted(item["context"] for item in items) == PLAIN
    assert [item["context"] for item in items] != PLAIN
    for item in items:
        assert TEXT[item["start"] : item["end"]] == item["context"]


def test_answers_carry_over_to_the_next_scan_of_the_document(user, reviewer):
    first = sampled(user)
    items = waiting(reviewer, first)
    answer(reviewer, items[0], "outage").raise_for_status()
    settle(reviewer, first)
    before = recall(reviewer)
    again = sampled(user)
    assert waiting(reviewer, first) == []  # the last scan of a document counts
    assert [i["context"] for i in waiting(reviewer, again)] == [i["context"] for i in items[1:]]
    assert recall(reviewer) == before


@pytest.mark.parametrize("options", [{"sensitivity": "precision"}])
def test_scan_that_misses_risks_on_purpose_has_no_sample(user, reviewer, options):
    assert waiting(reviewer, sampled(user, **options)) == []


def test_scan_with_the_users_own_thresholds_or_without_text_has_no_sample(new_user, reviewer):
    for settings in ({"thresholds": {"budget": 1.0}}, {"store_text": "hash"}):
        user = new_user()
        user.http.put("/api/v1/settings", json=settings).raise_for_status()
        assert waiting(reviewer, sampled(user)) == []


def test_answer_is_feedback_and_leaves_the_queue_until_it_is_withdrawn(user, reviewer):
    scan = sampled(user)
    first, second, *rest = waiting(reviewer, scan)
    assert answer(reviewer, first).status_code == 201
    assert answer(reviewer, second, "outage").status_code == 201
    assert waiting(reviewer, scan) == rest
    rows = {row["context"]: row for row in listed(reviewer, scan)}
    assert rows[first["context"]]["verdict"] == "no_risk"
    assert rows[second["context"]]["verdict"] == "missed"
    assert rows[second["context"]]["risk_types"] == ["outage"]
    assert all(row["verified"] for row in rows.values())
    path = f"{scan}/samples/{first['sample']}/feedback"
    assert reviewer.http.delete(path).status_code == 204
    assert waiting(reviewer, scan) == [first, *rest]


def by_number(_reviewer, scan, item):
    return f"{scan}/samples/{item['sample']}/feedback"


def by_id(reviewer, scan, item):
    mine = [row for row in listed(reviewer, scan) if row["start"] == item["start"]]
    return f"{scan}/feedback/{mine[0]['id']}"


@pytest.mark.parametrize("path_of", [by_number, by_id])
def test_answer_of_another_reviewer_counts_until_the_last_is_withdrawn(
    user, reviewer, admin, path_of
):
    scan = sampled(user)
    settle(reviewer, scan)
    before = recall(reviewer)["n_answered"]
    item, *rest = waiting(reviewer, scan)
    path = {}
    for account in (reviewer, admin):  # the list begins with the newest
        answer(account, item).raise_for_status()
        path[account] = path_of(account, scan, item)
    reviewer.http.delete(path[reviewer]).raise_for_status()
    assert waiting(reviewer, scan) == rest
    assert recall(reviewer)["n_answered"] == before + 1
    admin.http.delete(path[admin]).raise_for_status()
    assert waiting(reviewer, scan) == [item, *rest]
    assert recall(reviewer)["n_answered"] == before


def test_answer_withdrawn_in_an_earlier_scan_waits_again_in_the_next(user, reviewer):
    first = sampled(user)
    item = waiting(reviewer, first)[0]
    answer(reviewer, item).raise_for_status()
    again = sampled(user)
    reviewer.http.delete(by_number(reviewer, first, item)).raise_for_status()
    assert waiting(reviewer, again)[0]["context"] == item["context"]


def test_report_of_another_user_does_not_keep_a_withdrawn_answer(user, reviewer):
    scan = sampled(user)
    item = waiting(reviewer, scan)[0]
    body = {key: item[key] for key in ("start", "end", "context")}
    answer(reviewer, item).raise_for_status()
    report = user.http.post(f"{scan}/feedback", json={**body, "risk_types": ["outage"]})
    report.raise_for_status()
    reviewer.http.delete(by_number(reviewer, scan, item)).raise_for_status()
    assert waiting(reviewer, scan)[0] == item


def test_recall_counts_what_was_found_and_estimates_what_was_missed(user, reviewer):
    clear(reviewer)
    before = recall(reviewer)
    scan = sampled(user)
    first, second, *_ = waiting(reviewer, scan)
    answer(reviewer, first)
    answer(reviewer, second, "outage")
    during = recall(reviewer)
    assert during["n_unsettled"] == before["n_unsettled"] + 1  # its findings have no verdict
    assert during["n_answered"] == before["n_answered"]
    settle(reviewer, scan)
    after = recall(reviewer)
    gained = {key: after[key] - before[key] for key in after if key.startswith("n_")}
    assert gained == {
        "n_scans": 1,
        "n_unsettled": 0,
        "n_found": 1,  # two findings of one sentence
        "n_unflagged": len(PLAIN),
        "n_answered": 2,
        "n_missed": 1,
    }
    missed = after["n_unflagged"] * after["n_missed"] / after["n_answered"]
    assert after["estimate"] == pytest.approx(after["n_found"] / (after["n_found"] + missed))
    assert 0 <= after["low"] < after["estimate"] <= after["high"] <= 1
    assert after["model"].startswith("riskscan-fast/")


def test_rejected_findings_are_not_found_risks(user, reviewer):
    before = recall(reviewer)
    settle(reviewer, sampled(user), "rejected")
    after = recall(reviewer)
    assert (after["n_scans"], after["n_found"]) == (before["n_scans"] + 1, before["n_found"])


def test_risk_that_somebody_came_across_does_not_count_as_an_answer(user, reviewer):
    scan = sampled(user)
    settle(reviewer, scan)
    before = recall(reviewer)
    item = waiting(reviewer, scan)[0]
    body = {key: item[key] for key in ("start", "end", "context")}
    report = reviewer.http.post(f"{scan}/feedback", json={**body, "risk_types": ["outage"]})
    assert report.status_code == 201
    assert recall(reviewer) == before
    assert waiting(reviewer, scan)[0] == item  # still to be asked, or chance would favour risks
    answer(reviewer, item, "outage")
    assert recall(reviewer)["n_missed"] == before["n_missed"] + 1


def test_unknown_sentence_of_a_sample_is_not_found(user, reviewer):
    path = f"{sampled(user)}/samples/99/feedback"
    assert reviewer.http.put(path, json={"risk_types": []}).status_code == 404
    assert reviewer.http.delete(path).status_code == 404
