"""The risk register: people keep risks, support them by findings, share them with teams and exchange them."""

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from db.queries import risks as queries
from db.queries.risks import delete_unreachable
from tests.api.reviewing import BUDGET, SCHEDULE, finding, judge
from tests.api.risk_register import (
    NEW,
    RISKS,
    SEES,
    change,
    confirmed,
    create,
    created,
    exported,
    get,
    id_of,
    listed,
    scanned,
    source,
)
from tests.support.office_files import zipped
from tests.support.sentences import FLOW_TEXT
from tests.support.statements import recorded_statements


@pytest.mark.every_database
def test_risk_is_created_read_changed_and_deleted(user):
    risk = created(user, due_on="2027-03-31", category="schedule", mitigation="Ask ü.")
    shown = get(user, risk)
    assert (shown["rating"], shown["owner"], shown["creator"]) == (8, user.email, user.email)
    assert (shown["due_on"], shown["state"], shown["version"]) == ("2027-03-31", "open", 1)
    changed = change(user, risk, impact=5, due_on=None, state="mitigating").raise_for_status()
    assert (changed.json()["rating"], changed.json()["version"]) == (10, 2)
    assert get(user, risk)["due_on"] is None
    assert user.http.delete(risk).status_code == 204
    assert user.http.get(risk).status_code == 404


@pytest.mark.every_database
def test_history_says_who_changed_which_field_from_what_to_what(user):
    risk = created(user)
    change(user, risk, title="Vendor may fail", likelihood=5).raise_for_status()
    change(user, risk, state="closed").raise_for_status()
    items = user.http.get(f"{risk}/history").raise_for_status().json()["items"]
    rows = {(i["field"], i["before"], i["after"], i["author"]) for i in items}
    assert rows == {
        ("title", NEW["title"], "Vendor may fail", user.email),
        ("likelihood", "2", "5", user.email),
        ("state", "open", "closed", user.email),
    }
    assert items[0]["field"] == "state"


def test_change_needs_the_version_that_the_caller_read(user):
    risk = created(user, description="x" * 3000)  # long enough to be compressed
    patch = user.http.patch
    assert patch(risk, json={"impact": 5}).json()["code"] == "precondition_required"
    first = user.http.get(risk).headers["ETag"]
    change(user, risk, impact=5).raise_for_status()
    stale = patch(risk, json={"impact": 1}, headers={"If-Match": first})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    assert patch(risk, json={"impact": 1}, headers={"If-Match": "*"}).status_code == 200
    for tag in ('"x"', 'W/"2"', '"99999999999999999999999"', "2"):
        assert patch(risk, json={"impact": 2}, headers={"If-Match": tag}).status_code == 412
    plain = user.http.get(risk, headers={"Accept-Encoding": "identity"}).headers["ETag"]
    assert patch(risk, json={"impact": 3}, headers={"If-Match": plain}).status_code == 200


@pytest.mark.parametrize("tags", ['"7", {}', '{}, "7"', '"x", W/"9", {}', '"7","8:gzip",{}'])
def test_one_of_several_etags_has_to_match(user, tags):
    risk = created(user)
    etag = user.http.get(risk).headers["ETag"]
    for if_match, status in ((tags.format('"9"'), 412), (tags.format(etag), 200)):
        answer = user.http.patch(risk, json={"impact": 5}, headers={"If-Match": if_match})
        assert answer.status_code == status, if_match


@pytest.mark.parametrize("tag", ["*", '"1"', '"x"'])
def test_precondition_on_a_risk_that_is_not_there_answers_404(user, tag):
    missing = f"{RISKS}/00000000-0000-0000-0000-000000000000"
    answer = user.http.patch(missing, json={"impact": 5}, headers={"If-Match": tag})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", "x" * 201),
        ("title", "a\u0000"),
        ("likelihood", 0),
        ("impact", 6),
        ("impact", 2.5),
        ("likelihood", True),
        ("state", "done"),
        ("due_on", "soon"),
        ("category", "unknown"),
        ("risk_type", "unknown"),
        ("owner_id", "x"),
        ("team_id", "00000000-0000-0000-0000-000000000000"),
        ("owner_id", "00000000-0000-0000-0000-000000000000"),
        ("rating", 3),
    ],
)
def test_faulty_field_is_refused_by_name(user, field, value):
    answer = create(user, **{field: value})
    assert answer.status_code == 400, answer.text
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


@pytest.mark.every_database
def test_list_filters_by_state_owner_category_due_date_text_and_cell(user, new_user):
    today = datetime.now(UTC).date()
    yesterday, tomorrow = (str(today + timedelta(days=n)) for n in (-1, 1))
    created(user, title="late", due_on=yesterday, category="schedule")
    created(user, title="late but closed", due_on=yesterday, state="closed")
    created(user, title="in time 100 %", due_on=tomorrow, impact=5)
    created(new_user(), title="not mine")
    assert listed(user) == ["in time 100 %", "late but closed", "late"]
    assert listed(user, overdue="true") == ["late"]
    assert listed(user, overdue="false") == ["in time 100 %", "late but closed"]
    assert listed(user, state="closed") == ["late but closed"]
    assert listed(user, category="Schedule") == ["late"]
    assert listed(user, q="0 %") == ["in time 100 %"]
    assert listed(user, q="LATE BUT") == ["late but closed"]
    assert listed(user, likelihood=2, impact=5) == ["in time 100 %"]
    assert listed(user, owner_id=user.id, per_page=2) == ["in time 100 %", "late but closed"]
    matrix = user.http.get(f"{RISKS}/matrix").raise_for_status().json()["n_risks"]
    assert (matrix[1][3], matrix[1][4], sum(map(sum, matrix))) == (2, 1, 3)
    matrix = user.http.get(f"{RISKS}/matrix", params={"state": "closed"}).json()["n_risks"]
    assert sum(map(sum, matrix)) == 1


@pytest.mark.every_database
def test_only_a_confirmed_finding_becomes_a_risk_and_its_text_outlives_the_scan(user):
    scan = scanned(user)
    chosen = source(user, scan)
    refused = create(user, finding=chosen)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert "not confirmed" in refused.json()["detail"]
    judge(user, scan, chosen["n"], "rejected")
    assert create(user, finding=chosen).status_code == 409
    assert listed(user) == []
    judge(user, scan, chosen["n"])
    risk = created(user, finding=chosen)
    in_scan = user.http.get(f"{scan}/risks").raise_for_status().json()["items"]
    assert [(i["n"], i["title"]) for i in in_scan] == [(chosen["n"], NEW["title"])]
    user.http.delete(scan).raise_for_status()
    [copy] = get(user, risk)["findings"]
    assert (copy["context"], copy["document"]) == (FLOW_TEXT, "plan.txt")
    assert (copy["seen_in"], copy["seen_in_newest"]) == ([], None)


def test_relabelled_finding_supports_a_risk_with_the_category_of_its_new_type(user):
    scan = scanned(user)
    chosen = source(user, scan)
    judge(user, scan, chosen["n"], "relabelled", risk_types=["outage"]).raise_for_status()
    [copy] = get(user, created(user, finding=chosen))["findings"]
    taxonomy = user.http.get("/api/v1/taxonomy").json()["categories"]
    [category] = [c["title"] for c in taxonomy if "outage" in str(c["risk_types"])]
    assert copy["category"] == category


@pytest.mark.every_database
def test_several_findings_support_a_risk_and_can_be_taken_away(user):
    scan = scanned(user)
    chosen = [source(user, scan, key) for key in (BUDGET, SCHEDULE)]
    for one in chosen:
        judge(user, scan, one["n"])
    risk = created(user, finding=chosen[0])
    assert user.http.post(f"{risk}/findings", json=chosen[1]).status_code == 201
    assert user.http.post(f"{risk}/findings", json=chosen[1]).status_code == 409
    assert get(user, risk)["n_findings"] == 2
    assert user.http.delete(f"{risk}/findings", params=chosen[0]).status_code == 204
    assert user.http.delete(f"{risk}/findings", params=chosen[0]).status_code == 404
    assert [f["n"] for f in get(user, risk)["findings"]] == [chosen[1]["n"]]
    assert get(user, risk)["version"] == 4


@pytest.mark.every_database
def test_later_scans_of_the_document_say_whether_the_finding_is_still_there(user):
    scan = scanned(user)
    document = user.http.get(scan).json()["document_id"]
    chosen = confirmed(user, scan)
    risk = created(user, finding=chosen)
    first = get(user, risk)
    assert first["seen_in_newest"] is True
    again = scanned(user, f"A new first line. {FLOW_TEXT}", document=document)
    linked = get(user, risk)
    assert linked["last_seen_at"] > first["last_seen_at"]
    seen = [one["scan_id"] for one in linked["findings"][0]["seen_in"]]
    assert seen == [id_of(again), chosen["scan_id"]]
    assert [i["n"] for i in user.http.get(f"{again}/risks").json()["items"]] == [
        finding(user, again)["id"]
    ]
    without = scanned(user, "The sky is blue.", document=document)
    gone = get(user, risk)
    assert (gone["seen_in_newest"], gone["last_seen_at"]) == (False, linked["last_seen_at"])
    assert user.http.get(f"{without}/risks").json()["items"] == []
    user.http.delete(without).raise_for_status()
    assert get(user, risk)["seen_in_newest"] is True


@pytest.mark.every_database
def test_risk_follows_its_document_that_becomes_a_version_of_another(user):
    scan, other = scanned(user), scanned(user, "The sky is blue.")
    risk = created(user, finding=confirmed(user, scan))
    again = scanned(user, document=user.http.get(other).json()["document_id"])
    chosen = source(user, again)
    judge(user, again, chosen["n"], "rejected").raise_for_status()
    [shown] = get(user, risk)["findings"]
    assert [one["scan_id"] for one in shown["seen_in"]] == [id_of(again), id_of(scan)]
    assert (shown["seen_in_newest"], shown["verdict"]) == (True, "rejected")
    [listed] = user.http.get(f"{again}/risks").json()["items"]
    assert (listed["risk_id"], listed["n"]) == (id_of(risk), chosen["n"])


def test_risk_sees_its_document_again_that_was_deleted_and_is_scanned_again(user):
    scan = scanned(user)
    risk = created(user, finding=confirmed(user, scan))
    user.http.delete(scan).raise_for_status()
    assert get(user, risk)["seen_in_newest"] is None
    again = scanned(user)
    [shown] = get(user, risk)["findings"]
    assert [one["scan_id"] for one in shown["seen_in"]] == [id_of(again)]


WHO = ("creator", "owner", "member", "team-reviewer", "stranger", "other reviewer", "admin")
CHANGES = SEES - {"member"}


@pytest.mark.every_database
@pytest.mark.parametrize("name", WHO)
def test_people_see_risks_by_their_part_in_them(people, shared_risk, name):
    (risk, team, _), reader = shared_risk, people[name]
    sees = name in SEES
    paths = (risk, f"{risk}/history", f"{risk}/notes")
    statuses = {reader.http.get(path).status_code for path in paths}
    assert statuses == {200 if sees else 404}
    shown = [NEW["title"]] if sees else []
    assert (listed(reader), listed(reader, team=team)) == (shown, shown)
    cells = reader.http.get(f"{RISKS}/matrix").json()["n_risks"]
    assert (sum(map(sum, cells)), len(exported(reader)) - 1) == (len(shown), len(shown))
    owners = reader.http.get(f"{RISKS}/owners", params={"team": team}).json()["items"]
    known = {people[member].email for member in SEES} if sees else {reader.email}
    assert {owner["email"] for owner in owners} == known


@pytest.mark.every_database
@pytest.mark.parametrize("name", WHO)
def test_people_change_risks_by_their_part_in_them(people, shared_risk, name):
    (risk, _, chosen), http = shared_risk, people[name].http
    changes = 200 if name in CHANGES else 403 if name in SEES else 404
    patched = http.patch(risk, json={"mitigation": name}, headers={"If-Match": "*"})
    assert patched.status_code == changes
    noted = http.post(f"{risk}/notes", json={"text": f"by {name}"})
    assert noted.status_code == (201 if name in SEES else 404)
    taken = http.delete(f"{risk}/findings", params=chosen)
    assert taken.status_code == (204 if changes == 200 else changes)
    added = http.post(f"{risk}/findings", json=chosen)
    # The others who may change the risk may not read the creator's scan.
    assert added.status_code == (201 if name == "creator" else 403 if name == "member" else 404)
    deleted = http.delete(risk)
    assert deleted.status_code == (204 if changes == 200 else changes)


def test_owner_must_be_in_the_team(user, new_user, team_of):
    other = new_user()
    assert create(user, owner_id=other.id).json()["errors"][0]["field"] == "owner_id"
    team = team_of(user)
    assert create(user, owner_id=other.id, team_id=team).status_code == 400
    assert create(other, team_id=team).json()["errors"][0]["field"] == "team_id"


@pytest.mark.every_database
def test_deleted_account_leaves_the_teams_risks_without_its_sentences(user, new_user, team_of):
    leaver = new_user()
    team = team_of(user, leaver)
    scan = scanned(leaver)
    chosen = confirmed(leaver, scan)
    risk = created(leaver, team_id=team, finding=chosen, title="the team's")
    private = created(leaver, title="private")
    assert get(user, risk)["findings"][0]["context"] == FLOW_TEXT
    leave(leaver)
    shown = get(user, risk)
    assert (shown["creator"], shown["owner"], shown["may_change"]) == (None, None, False)
    assert (shown["findings"][0]["context"], shown["findings"][0]["document"]) == ("", None)
    assert user.http.get(private).status_code == 404


def leave(user):
    user.http.request(
        "DELETE", "/api/v1/auth/me", json={"password": user.password}
    ).raise_for_status()


def test_deleted_account_leaves_no_names_of_parts_of_its_documents(user, new_user, team_of):
    leaver = new_user()
    upload = {"file": ("papers.zip", zipped([("secret-plan.txt", FLOW_TEXT)]))}
    scan = leaver.http.post("/api/v1/scan", files=upload).raise_for_status().json()["scan_id"]
    chosen = confirmed(leaver, f"/api/v1/scans/{scan}")
    risk = created(leaver, team_id=team_of(user, leaver), finding=chosen)
    assert get(user, risk)["findings"][0]["part"] == "secret-plan.txt"
    leave(leaver)
    assert get(user, risk)["findings"][0]["part"] is None


@pytest.mark.every_database
def test_risk_of_a_team_goes_with_its_last_member(user, new_user, team_of, admin):
    creator, member = new_user(), new_user()
    team = team_of(creator, member)
    risk = created(creator, team_id=team)
    leave(creator)
    get(member, risk)
    leave(member)
    admin.http.put(f"/api/v1/teams/{team}/members/{user.id}").raise_for_status()
    assert user.http.get(risk).status_code == 404


@pytest.mark.every_database
def test_each_finding_has_its_newest_scans(user, monkeypatch):
    monkeypatch.setattr(queries, "SHOWN_SIGHTINGS", 2)
    first = scanned(user)
    document = user.http.get(first).json()["document_id"]
    middle, last = (scanned(user, document=document) for _ in range(2))
    chosen = [confirmed(user, first, key) for key in (BUDGET, SCHEDULE)]
    risk = created(user, finding=chosen[0])
    user.http.post(f"{risk}/findings", json=chosen[1]).raise_for_status()
    seen_in = [one["seen_in"] for one in get(user, risk)["findings"]]
    assert [[(seen["scan_id"], seen["n"]) for seen in seen_again] for seen_again in seen_in] == [
        [(id_of(scan), finding(user, scan, key)["id"]) for scan in (last, middle)]
        for key in (BUDGET, SCHEDULE)
    ]


def test_risk_of_many_findings_takes_no_more_statements_than_one_of_one(user):
    scan = scanned(user)
    chosen = [confirmed(user, scan, key) for key in (BUDGET, SCHEDULE)]
    risk = created(user, finding=chosen[0])
    with recorded_statements() as of_one:
        get(user, risk)
    user.http.post(f"{risk}/findings", json=chosen[1]).raise_for_status()
    with recorded_statements() as of_two:
        get(user, risk)
    n_of_one, n_of_two = (
        sum("risk_findings" in statement for statement, _ in sent) for sent in (of_one, of_two)
    )
    assert n_of_one == n_of_two


@pytest.mark.every_database
def test_risk_that_nobody_sees_any_more_is_purged(user, new_user, team_of, admin, live):
    creator, member = new_user(), new_user()
    team = team_of(creator, member)
    risk = created(creator, team_id=team)
    leave(creator)
    live.services.transactions.run(delete_unreachable)
    get(member, risk)
    admin.http.delete(f"/api/v1/teams/{team}/members/{member.id}").raise_for_status()
    live.services.transactions.run(delete_unreachable)
    admin.http.put(f"/api/v1/teams/{team}/members/{user.id}").raise_for_status()
    assert user.http.get(risk).status_code == 404


def test_users_data_has_their_risks_notes_and_changes(user):
    risk = created(user, title="mine ü")
    change(user, risk, impact=1).raise_for_status()
    user.http.post(f"{risk}/notes", json={"text": "noted"}).raise_for_status()
    data = user.http.get("/api/v1/auth/me/data").raise_for_status().content
    archive = zipfile.ZipFile(io.BytesIO(data))

    def rows(name):
        return [json.loads(line) for line in archive.read(name).splitlines()]

    assert [row["title"] for row in rows("risks.jsonl")] == ["mine ü"]
    assert [row["text"] for row in rows("risk_notes.jsonl")] == ["noted"]
    assert [row["field"] for row in rows("risk_changes.jsonl")] == ["impact"]


def test_writes_leave_audit_events_without_texts(user, admin):
    risk = created(user, title="secret title")
    change(user, risk, title="secret two").raise_for_status()
    user.http.post(f"{risk}/notes", json={"text": "secret note"}).raise_for_status()
    user.http.delete(risk).raise_for_status()
    query = {"object_type": "risk", "object_id": id_of(risk)}
    events = admin.http.get("/api/v1/admin/audit-events", params=query).json()["items"]
    actions = [event["action"] for event in events]
    assert actions == ["risk.deleted", "risk.noted", "risk.changed", "risk.created"]
    assert "secret" not in str(events)
