"""What a risk says of the verdicts on the findings that support it."""

import pytest

from tests.api.reviewing import BUDGET, SCHEDULE, judge
from tests.api.risk_register import RISKS, confirmed, created, get, scanned, source


def verdict_of(user, risk):
    return get(user, risk)["findings"][0]["verdict"]


@pytest.mark.every_database
def test_finding_says_its_verdict_of_now_in_any_scan_of_the_document(user):
    scan = scanned(user)
    chosen = confirmed(user, scan)
    risk = created(user, finding=chosen)
    assert verdict_of(user, risk) == "confirmed"
    again = scanned(user, document=user.http.get(scan).json()["document_id"])
    later = source(user, again)["n"]
    judge(user, again, later, "rejected").raise_for_status()
    assert verdict_of(user, risk) == "rejected"
    judge(user, scan, chosen["n"], "relabelled", risk_types=["outage"]).raise_for_status()
    assert verdict_of(user, risk) == "relabelled"
    for place, n in ((scan, chosen["n"]), (again, later)):
        user.http.delete(f"{place}/findings/{n}/feedback").raise_for_status()
    assert verdict_of(user, risk) is None


def test_verdict_is_that_of_the_person_who_added_the_finding_or_for_reviewers_everyones(
    people,
    shared_risk,
    admin,
):
    (risk, _, chosen), creator = shared_risk, people["creator"]
    readers = [people[name] for name in ("creator", "member", "team-reviewer")]
    scan = f"/api/v1/scans/{chosen['scan_id']}"
    judge(admin, scan, chosen["n"], "rejected").raise_for_status()
    assert [verdict_of(one, risk) for one in readers] == ["confirmed", "confirmed", "rejected"]
    judge(creator, scan, chosen["n"], "rejected").raise_for_status()
    assert {verdict_of(one, risk) for one in readers} == {"rejected"}


@pytest.mark.every_database
def test_newest_verdict_of_each_user_counts_and_its_withdrawal_leaves_no_older_one(
    people,
    shared_risk,
    admin,
):
    (risk, _, chosen), creator = shared_risk, people["creator"]
    readers, scan = [creator, people["team-reviewer"]], f"/api/v1/scans/{chosen['scan_id']}"
    judge(admin, scan, chosen["n"], "rejected").raise_for_status()
    again = scanned(creator, document=creator.http.get(scan).json()["document_id"])
    later = source(creator, again)["n"]
    judge(admin, again, later, "relabelled", risk_types=["outage"]).raise_for_status()
    assert [verdict_of(one, risk) for one in readers] == ["confirmed", "relabelled"]
    admin.http.delete(f"{again}/findings/{later}/feedback").raise_for_status()
    assert [verdict_of(one, risk) for one in readers] == ["confirmed", "confirmed"]


def n_rejected(user, risk):
    [listed] = user.http.get(RISKS).raise_for_status().json()["items"]
    shown = get(user, risk)
    assert listed == {name: shown[name] for name in listed}
    return shown["n_rejected"]


@pytest.mark.every_database
def test_list_and_risk_count_the_findings_that_are_rejected_now(user):
    scan = scanned(user)
    chosen = [source(user, scan, key) for key in (BUDGET, SCHEDULE)]
    for one in chosen:
        judge(user, scan, one["n"]).raise_for_status()
    risk = created(user, finding=chosen[0])
    user.http.post(f"{risk}/findings", json=chosen[1]).raise_for_status()
    assert n_rejected(user, risk) == 0
    judge(user, scan, chosen[0]["n"], "rejected").raise_for_status()
    assert n_rejected(user, risk) == 1
    judge(user, scan, chosen[0]["n"]).raise_for_status()
    assert n_rejected(user, risk) == 0


def test_list_counts_rejections_by_the_verdicts_that_the_reader_may_see(
    people,
    shared_risk,
    admin,
):
    risk, _, chosen = shared_risk
    readers = [people[name] for name in ("creator", "member", "team-reviewer")]
    judge(admin, f"/api/v1/scans/{chosen['scan_id']}", chosen["n"], "rejected").raise_for_status()
    assert [n_rejected(one, risk) for one in readers] == [0, 0, 1]
