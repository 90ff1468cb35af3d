"""GET /api/v1/findings: the findings of all scans that the caller may read, filtered and paged."""

from uuid import UUID, uuid4

import pytest

from service.domain.audit import Actor
from tests.api.reviewing import BUDGET, judge
from tests.support.sentences import FLOW_TEXT

pytestmark = pytest.mark.every_database

BANKRUPT = "The vendor may go bankrupt before the milestone."
FINDINGS = "/api/v1/findings"


@pytest.fixture
def scans(user):
    """Three scans with findings, oldest first: two risks, one, two."""
    return [user.scan(text).json()["scan_id"] for text in (FLOW_TEXT, BANKRUPT, FLOW_TEXT)]


def listed(user, **params):
    """Return scan and number of each finding on all pages."""
    places, params = [], dict(params)
    while True:
        answer = user.http.get(FINDINGS, params=params)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        places += [(item["scan_id"], item["finding"]) for item in page["items"]]
        if page["next_cursor"] is None:
            assert "Link" not in answer.headers
            return places
        assert 'rel="next"' in answer.headers["Link"]
        params["cursor"] = page["next_cursor"]


def places_of(user, scans):
    return [
        (scan, item["id"])
        for scan in reversed(scans)
        for item in user.http.get(f"/api/v1/scans/{scan}/findings").json()["items"]
    ]


@pytest.mark.parametrize("per_page", [1, 2, 50])
def test_findings_of_all_scans_are_listed_newest_scan_first_once_each(user, scans, per_page):
    expected = places_of(user, scans)
    assert len(expected) >= 5
    assert listed(user, per_page=per_page) == expected


def test_item_names_scan_document_and_sentence(user, scans):
    [item] = user.http.get(FINDINGS, params={"q": "vendor", "per_page": 1}).json()["items"]
    scan = user.http.get(f"/api/v1/scans/{scans[1]}").json()
    assert (item["scan_id"], item["document_id"]) == (scans[1], scan["document_id"])
    assert (item["user_id"], item["context"], item["finding"]) == (user.id, BANKRUPT, 1)
    assert item["verdict"] is None


def test_filters_narrow_the_list(user, scans):
    first, second, third = scans
    of_flow = [(third, 1), (third, 2), (first, 1), (first, 2)]
    assert listed(user, risk_type="Insufficient or tight budget") == listed(user, risk_type=BUDGET)
    assert {scan for scan, _ in listed(user, risk_type=BUDGET)} == {first, third}
    assert listed(user, q="TIGHT deadline") == of_flow
    assert listed(user, q="tight bankrupt") == []
    assert listed(user, q="100%_") == []
    assert {scan for scan, _ in listed(user, q="bankrupt")} == {second}
    assert listed(user, source="llm") == []
    document = user.http.get(f"/api/v1/scans/{first}").json()["document_id"]
    assert {scan for scan, _ in listed(user, document=document)} == {first, third}  # the same bytes
    created = user.http.get(f"/api/v1/scans/{second}").json()["timestamp"]
    assert {scan for scan, _ in listed(user, created_from=created)} == {second, third}
    assert {scan for scan, _ in listed(user, created_before=created)} == {first}
    assert listed(user, document=str(uuid4())) == []


def test_unknown_names_and_broken_parameters_are_refused_together(user):
    params = {"verdict": "maybe", "document": "x", "per_page": 0, "scope": "all"}
    answer = user.http.get(FINDINGS, params=params)
    assert answer.status_code == 400
    faults = {fault["field"] for fault in answer.json()["errors"]}
    assert faults == {"verdict", "document", "per_page", "scope"}
    named = user.http.get(FINDINGS, params={"category": "nothing", "risk_type": "no such"})
    assert {fault["field"] for fault in named.json()["errors"]} == {"category", "risk_type"}
    for cursor in ("x", "MjAyNi0wMS0wMQ==", "\u00e9"):
        assert user.http.get(FINDINGS, params={"cursor": cursor}).status_code == 400


def test_verdict_filter_follows_the_current_verdict(user, scans):
    place = f"/api/v1/scans/{scans[0]}"
    judge(user, place, 1, "rejected").raise_for_status()
    assert listed(user, verdict="rejected") == [(scans[0], 1)]
    assert (scans[0], 1) not in listed(user, verdict="open")
    judge(user, place, 1, "relabelled", risk_types=["outage"]).raise_for_status()
    assert listed(user, verdict="rejected") == []
    assert listed(user, verdict="relabelled") == [(scans[0], 1)]
    user.http.delete(f"{place}/findings/1/feedback").raise_for_status()
    assert listed(user, verdict="relabelled") == []
    assert (scans[0], 1) in listed(user, verdict="open")


def test_owner_sees_the_own_verdict_and_reviewers_the_newest_of_anyone(user, reviewer, scans):
    place = f"/api/v1/scans/{scans[0]}"
    judge(user, place, 1, "confirmed").raise_for_status()
    judge(reviewer, place, 1, "rejected").raise_for_status()
    assert listed(user, verdict="confirmed") == [(scans[0], 1)]
    assert listed(user, verdict="rejected") == []
    of_reviewer = {"scope": "reviewable", "document": _document(user, scans[0])}
    assert listed(reviewer, verdict="rejected", **of_reviewer) == [(scans[0], 1)]
    assert listed(reviewer, verdict="confirmed", **of_reviewer) == []


def _document(user, scan):
    return user.http.get(f"/api/v1/scans/{scan}").json()["document_id"]


@pytest.mark.usefixtures("scans")
def test_session_filter_lists_findings_of_files_in_it(user):
    session = user.http.post("/api/v1/sessions", json={"name": "Tender"}).json()["id"]
    form = {"file": ("plan.txt", b"The pump may fail in the first winter.")}
    data = {"session": session}
    scan = user.http.post("/api/scan", files=form, data=data).raise_for_status().json()["scan_id"]
    assert {place[0] for place in listed(user, session=session)} == {scan}
    assert listed(user, session=str(uuid4())) == []


def test_no_list_shows_another_users_finding(live, user, new_user, scans):
    stranger, member = new_user(), new_user()
    own = places_of(user, scans)
    for scope in ("own", "team", "reviewable"):
        assert listed(stranger, scope=scope) == []
    team = live.services.teams.create(str(uuid4()), actor=Actor()).id
    for person in (user, member):
        live.services.teams.add_member(team, UUID(person.id), actor=Actor())
    user.http.put(f"/api/v1/scans/{scans[1]}/teams/{team}").raise_for_status()
    shared = [place for place in own if place[0] == scans[1]]
    assert listed(member, scope="team") == listed(member, scope="team", team=str(team)) == shared
    assert listed(member) == []
    assert listed(user, team=str(team)) == shared
    assert listed(stranger, scope="team", team=str(team)) == []


def test_reviewer_who_lists_others_sentences_leaves_an_audit_event(user, reviewer, admin, scans):
    params = {"scope": "reviewable", "document": _document(user, scans[1])}
    assert {place[0] for place in listed(reviewer, **params)} == {scans[1]}
    query = {"action": "foreign.read", "user_id": reviewer.id}
    events = admin.http.get("/api/v1/admin/audit-events", params=query).json()["items"]
    named = [e["detail"]["owner_of_scan"] for e in events if e["object_type"] == "findings"]
    assert named == [{scans[1]: user.id}]
