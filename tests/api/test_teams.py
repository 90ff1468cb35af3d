"""What members of a team may do with what is shared with it, for each kind of caller."""

from dataclasses import dataclass

import pytest

from db.tables import Role
from tests.api.filing import add, new_session
from tests.api.reviewing import TEXT, judge, missed
from tests.support.sentences import FLOW_TEXT

pytestmark = pytest.mark.every_database

WHO = (
    "owner",
    "member",
    "former member",
    "stranger",
    "team-reviewer",
    "other team's reviewer",
    "reviewer",
    "admin",
)
ROLES = {
    "team-reviewer": Role.TEAM_REVIEWER,
    "other team's reviewer": Role.TEAM_REVIEWER,
    "reviewer": Role.REVIEWER,
    "admin": Role.ADMIN,
}
IN_TEAM = {"owner", "member", "team-reviewer"}
READERS = IN_TEAM | {"reviewer", "admin"}
JUDGES = READERS - {"member"}
OWNER = {"owner"}
FINDING = "{scan}/findings/1/feedback"
TABLE = {
    ("GET", "{scan}"): READERS,
    ("GET", "{scan}/findings"): READERS,
    ("GET", "{scan}/changes"): READERS,
    ("GET", "{scan}/feedback"): READERS,
    ("GET", FINDING): READERS,
    ("GET", "{scan}/findings/1/similar"): READERS,
    ("GET", "{document}"): READERS,
    ("GET", "{document}/text"): READERS,
    ("GET", "{document}/original"): READERS,
    ("GET", "{document}/scores?start=0&end=9"): READERS,
    ("GET", "{document}/words?start=0&end=9&risk_type=outage"): READERS,
    ("GET", "{session}"): IN_TEAM,
    ("GET", "{session}/files"): IN_TEAM,
    ("GET", "{file}"): IN_TEAM,
    ("GET", "{file}/content"): IN_TEAM,
    ("PUT", FINDING): JUDGES,
    ("DELETE", FINDING): JUDGES,
    ("GET", "{document}/teams"): OWNER,
    ("GET", "{scan}/teams"): OWNER,
    ("GET", "{session}/teams"): OWNER,
    ("PUT", "{document}/teams/{team}"): OWNER,
    ("PUT", "{scan}/teams/{team}"): OWNER,
    ("PUT", "{session}/teams/{team}"): OWNER,
    ("POST", "{document}/scan"): OWNER,
    ("POST", "{session}/scan"): OWNER,
    ("PUT", "{session}"): OWNER,
    ("DELETE", "{document}/teams/{team}"): OWNER,
    ("DELETE", "{session}/teams/{team}"): OWNER,
    ("DELETE", "{file}"): OWNER,
    ("DELETE", "{session}"): OWNER,
    ("DELETE", "{scan}"): OWNER,
    ("DELETE", "{document}"): OWNER,
}
BODIES = {"{session}": {"name": "Tender"}, FINDING: {"verdict": "confirmed"}}


@dataclass
class Place:
    """A team, and the paths of what its owner shares with it."""

    people: dict
    team: str
    scan: str
    document: str
    session: str
    file: str

    def filled(self, path):
        return path.format(**vars(self))


def path_of(response):
    assert response.status_code in {200, 201, 204}, response.text
    return response.headers["Location"]


@pytest.fixture
def new_team(admin):
    """Create a team of some users, by the administrator; return its id."""
    names = iter(f"Team {admin.id} {n}" for n in range(100))

    def make(*users):
        team = path_of(admin.http.post("/api/v1/teams", json={"name": next(names)}))
        for user in users:
            admin.http.put(f"{team}/members/{user.id}").raise_for_status()
        return team.rpartition("/")[2]

    return make


@pytest.fixture
def people(new_user, new_account, admin):
    made = {who: new_account(ROLES[who]) if who in ROLES else new_user() for who in WHO[:-1]}
    return made | {"admin": admin}


def store(owner):
    """Store a document with its original, and a file; return the paths of all."""
    owner.http.put("/api/v1/settings", json={"store_original": True}).raise_for_status()
    form = {"file": ("plan.txt", TEXT.encode())}
    stored = owner.http.post("/api/v1/scan", files=form).raise_for_status().json()
    scan = f"/api/v1/scans/{stored['scan_id']}"
    document = f"/api/v1/documents/{owner.http.get(scan).json()['document_id']}"
    session = new_session(owner)
    return {
        "scan": scan,
        "document": document,
        "session": session,
        "file": path_of(add(owner, session)),
    }


@pytest.fixture
def place(people, new_team, admin):
    inside = [people[who] for who in ("owner", "member", "team-reviewer", "former member")]
    team, paths = new_team(*inside), store(people["owner"])
    new_team(people["other team's reviewer"], people["stranger"])
    for shared in ("document", "session"):
        people["owner"].http.put(f"{paths[shared]}/teams/{team}").raise_for_status()
    former = people["former member"]
    assert former.http.get(paths["scan"]).status_code == 200
    admin.http.delete(f"/api/v1/teams/{team}/members/{former.id}").raise_for_status()
    for name in JUDGES:
        assert judge(people[name], paths["scan"], 1).status_code == 201
    return Place(people, team, **paths)


def test_each_caller_may_do_exactly_what_the_table_says(place):
    for (method, path), allowed in TABLE.items():
        url = place.filled(path)
        for who in (*(w for w in WHO if w != "owner"), "owner"):  # the owner may delete it
            body = BODIES.get(path, {}) if method in {"PUT", "POST"} else None
            answer = place.people[who].http.request(method, url, json=body)
            expected = {200, 201, 204} if who in allowed else {404}
            assert answer.status_code in expected, (who, method, path, answer.text)
        if method == "DELETE" and path.endswith("{team}"):
            place.people["owner"].http.put(url).raise_for_status()
        if method == "DELETE" and path == "{scan}":
            return  # the document had no other scan


def test_shared_scan_shows_its_findings_and_not_its_document(people, new_team):
    paths, team = store(people["owner"]), new_team(people["owner"], people["member"])
    people["owner"].http.put(f"{paths['scan']}/teams/{team}").raise_for_status()
    get = people["member"].http.get
    found = get(f"{paths['scan']}/findings").json()["items"]
    assert [finding["context"] for finding in found] == [FLOW_TEXT + "."] * len(found)
    assert get(paths["document"]).status_code == get(f"{paths['document']}/text").status_code == 404


@pytest.mark.parametrize("kind", ["scan", "document", "session"])
def test_deleting_the_team_or_ending_the_sharing_ends_access_at_once(people, new_team, admin, kind):
    owner, member = people["owner"], people["member"]
    path = store(owner)[kind]
    for n in range(3):
        team = new_team(owner, member)
        owner.http.put(f"{path}/teams/{team}").raise_for_status()
        assert member.http.get(path).status_code == 200
        if n == 0:
            admin.http.delete(f"/api/v1/teams/{team}").raise_for_status()
        elif n == 1:
            owner.http.delete(f"{path}/teams/{team}").raise_for_status()
        else:
            admin.http.delete(f"/api/v1/teams/{team}/members/{member.id}").raise_for_status()
        assert member.http.get(path).status_code == 404
        assert owner.http.get(path).status_code == 200


def test_what_the_owner_shares_leaves_the_team_with_the_owner(people, new_team, admin):
    owner, member = people["owner"], people["member"]
    team, paths = new_team(owner, member), store(owner)
    for kind in ("scan", "document", "session"):
        owner.http.put(f"{paths[kind]}/teams/{team}").raise_for_status()
    admin.http.delete(f"/api/v1/teams/{team}/members/{owner.id}").raise_for_status()
    admin.http.put(f"/api/v1/teams/{team}/members/{owner.id}").raise_for_status()
    for kind in ("scan", "document", "session"):
        assert member.http.get(paths[kind]).status_code == 404
        assert owner.http.get(f"{paths[kind]}/teams").json()["items"] == []


def listed(user, noun, key="id", **params):
    """Return the ids of all pages of a list with one item each."""
    ids, url = [], f"/api/v1/{noun}"
    params = {"per_page": 1, **params}
    while url:
        answer = user.http.get(url, params=params).raise_for_status()
        ids += [item[key] for item in answer.json()["items"]]
        url, params = answer.links.get("next", {}).get("url"), None
    return ids


def test_lists_of_the_team_have_what_is_shared_page_by_page(people, new_team):
    owner, member = people["owner"], people["member"]
    team, other = new_team(owner, member), new_team(owner, member)
    shared = []
    for n in range(4):
        stored = owner.scan(f"{FLOW_TEXT} {n}").json()
        document = owner.http.get(f"/api/v1/scans/{stored['scan_id']}").json()["document_id"]
        if n % 2:
            for one in (team, other):  # twice: the list has it once
                owner.http.put(f"/api/v1/documents/{document}/teams/{one}").raise_for_status()
            shared.insert(0, (stored["scan_id"], document))
    alone = owner.scan(f"{FLOW_TEXT} alone").json()["scan_id"]
    owner.http.put(f"/api/v1/scans/{alone}/teams/{team}").raise_for_status()
    session = new_session(owner).rpartition("/")[2]
    owner.http.put(f"/api/v1/sessions/{session}/teams/{team}").raise_for_status()
    scans = [alone, *(scan for scan, _ in shared)]
    assert listed(member, "scans", "scan_id", scope="team") == scans
    assert listed(member, "scans", "scan_id", scope="team", q="alone") == [alone]
    assert listed(member, "documents", scope="team") == [document for _, document in shared]
    assert listed(member, "sessions", scope="team") == [session]
    for noun in ("scans", "documents", "sessions"):
        assert member.http.get(f"/api/v1/{noun}").json()["items"] == []
    counted = member.http.get("/api/v1/scans", params={"scope": "team", "per_page": 1}).json()
    assert (counted["total"], counted["total_relation"]) == (3, "eq")
    days = member.http.get("/api/v1/reviews/summary", params={"scope": "team"}).json()
    assert days["n_open"] > 0


def test_member_sees_only_the_shared_versions_of_a_document(people, new_team):
    owner, member = people["owner"], people["member"]
    team = new_team(owner, member)
    first = owner.scan(f"{FLOW_TEXT} secret").json()["scan_id"]
    document = owner.http.get(f"/api/v1/scans/{first}").json()["document_id"]
    body = {"text": FLOW_TEXT, "document": document}
    second = owner.http.post("/api/v1/scan", json=body).raise_for_status().json()["scan_id"]
    newer = owner.http.get(f"/api/v1/scans/{second}").json()["document_id"]
    owner.http.put(f"/api/v1/documents/{newer}/teams/{team}").raise_for_status()
    assert len(owner.http.get(f"/api/v1/documents/{newer}").json()["versions"]) == 2
    [version] = member.http.get(f"/api/v1/documents/{newer}").json()["versions"]
    assert version["id"] == newer
    assert owner.http.get(f"/api/v1/scans/{second}/changes").json()["since"] is not None
    changes = member.http.get(f"/api/v1/scans/{second}/changes").json()
    assert (changes["since"], changes["n_gone"]) == (None, 0)
    refused = member.http.get(f"/api/v1/scans/{second}/changes", params={"since": first})
    assert refused.status_code == 404
    owner.http.delete(f"/api/v1/documents/{newer}/teams/{team}").raise_for_status()
    owner.http.put(f"/api/v1/documents/{document}/teams/{team}").raise_for_status()
    assert listed(member, "documents", scope="team", versions="newest") == [document]


def queue_of(user, kind="unsure"):
    params = {"kind": kind, "per_page": 100}
    items = user.http.get("/api/v1/reviews/queue", params=params).raise_for_status().json()["items"]
    return {item["scan_id"] for item in items}


def test_team_reviewer_reviews_what_is_shared_with_the_team_alone(people, new_team):
    owner, reviewer = people["owner"], people["team-reviewer"]
    team = new_team(owner, reviewer, people["member"])
    hidden, shown = (store(owner)["scan"], store(people["member"])["scan"])
    stored = owner.scan(f"{TEXT} shared").json()["scan_id"]
    path = f"/api/v1/scans/{stored}"
    owner.http.put(f"{path}/teams/{team}").raise_for_status()
    assert queue_of(reviewer) == {stored}
    assert judge(owner, path, 1, "rejected").status_code == 201
    assert judge(people["reviewer"], path, 1, "confirmed").status_code == 201
    assert queue_of(reviewer, "disputed") == {stored}
    assert judge(reviewer, path, 1, "confirmed").status_code == 201
    assert missed(reviewer, path).status_code == 201
    assert missed(people["member"], path).status_code == 404
    for scan in (hidden, shown):
        assert judge(reviewer, scan, 1).status_code == 404
    seen = reviewer.http.get(f"{path}/findings/1/feedback").json()
    assert {row["user_id"] for row in seen["others"]} == {owner.id, people["reviewer"].id}
    assert reviewer.http.get("/api/v1/reviews/agreement").json()["items"][0]["n_judged"] == 1
    reviewable = listed(reviewer, "scans", "scan_id", scope="reviewable")
    assert reviewable == [stored]


def test_reads_of_the_team_are_recorded_and_those_of_the_owner_are_not(place, admin):
    for who in ("owner", "member"):
        for path in ("{scan}", "{document}/text", "{session}", "{file}/content"):
            place.people[who].http.get(place.filled(path)).raise_for_status()
    params = {"action": "foreign.read", "per_page": 200}
    events = admin.http.get("/api/v1/admin/audit-events", params=params).json()["items"]
    read = {(e["user_id"], e["object_type"], e["object_id"]) for e in events}
    ids = {
        kind: getattr(place, kind).rpartition("/")[2]
        for kind in ("scan", "document", "session", "file")
    }
    names = {"session": "work_session"}
    member, owner = place.people["member"].id, place.people["owner"].id
    assert {(member, names.get(kind, kind), ids[kind]) for kind in ids} <= read
    assert all(user_id != owner for user_id, _, _ in read)


def test_reads_of_feedback_are_recorded_too(place, admin):
    member = place.people["member"]
    member.http.get(f"{place.scan}/feedback").raise_for_status()
    params = {"action": "foreign.read", "user_id": member.id}
    [event] = admin.http.get("/api/v1/admin/audit-events", params=params).json()["items"]
    assert event["object_id"] == place.scan.rpartition("/")[2]
    assert event["detail"]["owner_id"] == place.people["owner"].id


def test_name_of_a_team_is_unique_in_any_case(admin):
    name = f"Käufer {admin.id}"
    team = path_of(admin.http.post("/api/v1/teams", json={"name": name}))
    again = admin.http.post("/api/v1/teams", json={"name": name.upper() + " "})
    other = path_of(admin.http.post("/api/v1/teams", json={"name": f"Other {admin.id}"}))
    renamed = admin.http.put(other, json={"name": name.upper()})
    assert (again.status_code, renamed.status_code) == (409, 409)
    changed = admin.http.put(team, json={"name": name.upper()})
    assert (changed.status_code, changed.json()["name"]) == (200, name.upper())
    found = admin.http.get("/api/v1/teams", params={"scope": "all", "search": name.lower()})
    assert [item["id"] for item in found.json()["items"]] == [team.rpartition("/")[2]]


def test_users_list_their_own_teams_and_administrators_all(people, new_team, admin, client):
    member = people["member"]
    teams = [new_team(member), new_team(people["owner"]), new_team(member)]
    assert listed(member, "teams") == [teams[2], teams[0]]
    assert member.http.get("/api/v1/teams", params={"scope": "all"}).status_code == 403
    everyones = listed(admin, "teams", scope="all")
    assert [team for team in everyones if team in teams] == teams[::-1]
    for scopes, status in ((["read"], 403), (["read", "admin"], 200)):
        body = {"name": "list", "scopes": scopes}
        key = admin.http.post("/api/v1/auth/keys", json=body).raise_for_status().json()["key"]
        headers = {"X-API-Key": key}
        answer = client.get("/api/v1/teams", params={"scope": "all"}, headers=headers)
        assert answer.status_code == status
    me = member.http.get("/api/v1/auth/me").json()
    assert {team["id"] for team in me["teams"]} == {teams[0], teams[2]}


def test_members_are_added_once_and_page_by_page(people, new_team, admin):
    team = new_team(people["owner"], people["member"], people["member"])
    members = listed(admin, f"teams/{team}/members", "email")
    assert sorted(members) == sorted([people["owner"].email, people["member"].email])
    [view] = [
        t
        for t in admin.http.get("/api/v1/teams", params={"scope": "all"}).json()["items"]
        if t["id"] == team
    ]
    assert view["n_members"] == 2
    path = f"/api/v1/teams/{team}/members/{people['stranger'].id}"
    assert admin.http.delete(path).status_code == 404
    assert admin.http.put(f"/api/v1/teams/{team}/members/{team}").status_code == 404


def test_changes_of_teams_and_shares_are_recorded_once(people, new_team, admin):
    owner, member = people["owner"], people["member"]
    team, paths = new_team(owner, member), store(owner)
    for kind in ("scan", "document", "session"):
        for _ in range(2):  # the second changes nothing
            owner.http.put(f"{paths[kind]}/teams/{team}").raise_for_status()
        owner.http.delete(f"{paths[kind]}/teams/{team}").raise_for_status()
    admin.http.put(f"/api/v1/teams/{team}", json={"name": f"New {team}"}).raise_for_status()
    admin.http.delete(f"/api/v1/teams/{team}/members/{member.id}").raise_for_status()
    admin.http.delete(f"/api/v1/teams/{team}").raise_for_status()
    events = admin.http.get("/api/v1/admin/audit-events", params={"per_page": 200}).json()["items"]
    about = [
        event["action"]
        for event in reversed(events)
        if team in (event["object_id"], event["detail"].get("team_id"))
    ]
    assert about == [
        "team.created",
        *["team.member_added"] * 2,
        *["scan.shared", "scan.unshared"],
        *["document.shared", "document.unshared"],
        *["work_session.shared", "work_session.unshared"],
        *["team.renamed", "team.member_removed", "team.deleted"],
    ]


def test_deleting_the_account_ends_its_membership_and_its_sharing(people, new_team, admin):
    owner, member = people["owner"], people["member"]
    team, paths = new_team(owner, member), store(owner)
    owner.http.put(f"{paths['document']}/teams/{team}").raise_for_status()
    admin.http.delete(f"/api/v1/users/{owner.id}").raise_for_status()
    assert member.http.get(paths["document"]).status_code == 404
    assert listed(admin, f"teams/{team}/members", "email") == [member.email]
