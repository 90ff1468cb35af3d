"""Search by words and by meaning, findings like another one, and who finds what."""

import re
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, select

from db.tables import SearchOwner, SearchVectors, SearchWords
from service.domain.audit import Actor
from service.domain.search.candidates import CANDIDATES
from tests.api.reviewing import judge

pytestmark = pytest.mark.every_database

BANKRUPT = "The vendor may go bankrupt before the milestone."
CRASH = "The nightly backup has never been restored on another machine."
BUDGET = "The budget is already overspent by 40 percent."
TEXTS = (BANKRUPT, CRASH, BUDGET)


@pytest.fixture
def join(live):
    """Wait until search knows all scans."""
    return live.services.search_indexer.join


@pytest.fixture
def scans(user, join):
    made = {text: user.scan(text).raise_for_status().json()["scan_id"] for text in TEXTS}
    join()
    return made


def found(user, q, **params):
    answer = user.http.get("/api/v1/search", params={"q": q, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


def places(answer):
    return [
        (item["finding"]["scan_id"], item["finding"]["finding"])
        for item in answer["items"]
        if item["kind"] == "finding"
    ]


def test_words_find_the_sentence_in_other_forms_and_cases(user, scans):
    answer = found(user, "VENDORS bankrupt", kind="finding")
    first = answer["items"][0]
    assert (first["finding"]["scan_id"], first["finding"]["context"]) == (scans[BANKRUPT], BANKRUPT)
    assert first["ways"] == ["words", "meaning"]
    assert answer["meaning"] == "all"


def test_meaning_finds_a_sentence_without_a_common_word(user, scans):
    answer = found(user, "supplier insolvency", kind="finding")
    assert places(answer)[0] == (scans[BANKRUPT], 1)
    assert answer["items"][0]["ways"] == ["meaning"]
    assert answer["items"][0]["similarity"] > answer["items"][-1]["similarity"]


def test_answer_says_that_nothing_has_a_word_of_the_question(user, scans):
    answer = found(user, "qwertyzxcv")
    assert answer["words_occur"] is False
    assert {way for item in answer["items"] for way in item["ways"]} == {"meaning"}
    assert found(user, "qwertyzxcv vendor", kind="finding")["words_occur"] is True
    assert found(user, "canteen", kind="finding")["words_occur"] is False
    path = f"/api/v1/scans/{scans[BANKRUPT]}/findings/1/similar"
    assert user.http.get(path).json()["words_occur"] is None


def test_words_of_a_document_alone_occur(user, join):
    form = {"file": ("notes.txt", f"The canteen opens at noon. {BUDGET}".encode())}
    user.http.post("/api/scan", files=form).raise_for_status()
    join()
    assert found(user, "canteen", limit=1)["words_occur"] is True
    assert found(user, "canteen", kind="finding")["words_occur"] is False


def test_documents_are_found_by_name_and_text_and_name_their_newest_scan(user, join):
    form = {"file": ("harbour-crane.txt", f"The canteen opens at noon. {BUDGET}".encode())}
    scan = user.http.post("/api/scan", files=form).raise_for_status().json()["scan_id"]
    join()
    for words in ("harbour crane", "canteen"):
        item = found(user, words, kind="document")["items"][0]
        assert (item["kind"], item["finding"]) == ("document", None)
        assert item["document"]["name"] == "harbour-crane.txt"
        assert item["document"]["newest_scan"] == scan


def test_category_narrows_findings_before_they_are_ranked(user, scans):
    finding = user.http.get(f"/api/v1/scans/{scans[BUDGET]}/findings").json()["items"][0]
    answer = found(user, "vendor budget backup", category=finding["category"])
    assert {item["finding"]["category"] for item in answer["items"]} == {finding["category"]}
    assert places(answer)[0] == (scans[BUDGET], finding["id"])
    unknown = user.http.get("/api/v1/search", params={"q": "x", "category": "nothing"})
    assert unknown.status_code == 400


@pytest.mark.parametrize(
    "q",
    [
        '"vendor" AND NOT (bankrupt) + - * ~ < > @',
        "'vendor''; DROP TABLE scans; --",
        "100% _ \\ : | & ! vendor:*",
        "vendor " * 60,
        "\u00e9\u00df\u4f60\u597d \U0001f535 vendor",
        "NEAR(vendor bankrupt) words:vendor ^vendor",
    ],
)
def test_operators_and_odd_characters_are_plain_text(user, scans, q):
    assert (scans[BANKRUPT], 1) in places(found(user, q, kind="finding"))


@pytest.mark.parametrize("q", ["", "the of and", "%%% ***", "x" * 501, "w " * 5000, "a\x00b"])
def test_question_without_a_word_or_too_long_is_refused(user, q):
    answer = user.http.get("/api/v1/search", params={"q": q})
    assert answer.status_code == 400, answer.text
    assert [fault["field"] for fault in answer.json()["errors"]] == ["q"]


def test_faulty_parameters_are_refused_together(user):
    params = {"kind": "course,finding", "limit": 0, "scope": "all"}
    answer = user.http.get("/api/v1/search", params=params)
    assert answer.status_code == 400
    assert {re.split(r"[.\[]", f["field"])[0] for f in answer.json()["errors"]} == {"q", *params}


def test_search_without_vectors_finds_words_and_says_so(live, user, scans):
    owner = UUID(user.id)
    live.services.transactions.run(
        lambda s: s.execute(delete(SearchVectors).where(SearchVectors.user_id == owner)).close()
    )
    live.services.transactions.run(
        lambda s: s.execute(delete(SearchOwner).where(SearchOwner.user_id == owner)).close()
    )
    answer = found(user, "vendor", kind="finding")
    assert (places(answer), answer["meaning"]) == ([(scans[BANKRUPT], 1)], "none")
    seen = []
    assert live.services.search_indexer.reindex(lambda *n: seen.append(n)) >= len(scans)
    assert seen[-1][0] == seen[-1][1]
    assert found(user, "supplier insolvency")["meaning"] == "all"


def test_deleted_scan_is_found_no_more_and_leaves_no_row(live, user, scans):
    found(user, "vendor")  # its vectors are in memory now
    user.http.delete(f"/api/v1/scans/{scans[BANKRUPT]}").raise_for_status()
    assert scans[BANKRUPT] not in {scan for scan, _ in places(found(user, "vendor bankrupt"))}

    def n_rows(session):
        scan_id = UUID(scans[BANKRUPT])
        return [
            session.scalar(select(func.count()).select_from(table).where(table.scan_id == scan_id))
            for table in (SearchWords, SearchVectors)
        ]

    assert live.services.transactions.read(n_rows) == [0, 0]


def test_vectors_of_deleted_findings_do_not_crowd_out_others(user, scans, join):
    many = " ".join(
        f"Supplier {n} may go bankrupt before delivery." for n in range(CANDIDATES + 20)
    )
    scan_id = user.scan(many).raise_for_status().json()["scan_id"]
    join()
    found(user, "supplier insolvency", kind="finding")  # their vectors are in memory now
    user.http.delete(f"/api/v1/scans/{scan_id}").raise_for_status()
    answer = found(user, "insolvency of a subcontractor", kind="finding")
    assert {scan for scan, _ in places(answer)} == set(scans.values())
    assert answer["meaning"] == "all"


def test_best_of_more_matches_than_candidates_is_first_by_words(user, join):
    """The order of a full-text index is each database's own; the best match is stored last."""
    worse = [f"Supplier {n} may go bankrupt before delivery." for n in range(CANDIDATES + 20)]
    best = "The sole supplier of hydrazine may go bankrupt."
    scan_id = user.scan(" ".join([*worse, best])).raise_for_status().json()["scan_id"]
    join()
    item = found(user, "hydrazine supplier", kind="finding")["items"][0]
    user.http.delete(
        f"/api/v1/scans/{scan_id}"
    ).raise_for_status()  # reviewers would find it in other tests
    assert (item["finding"]["context"], item["ways"][0]) == (best, "words")


def test_repeated_scans_of_a_document_show_each_sentence_once_and_hide_no_other(user, scans, join):
    many = " ".join(
        f"Supplier {n} may go bankrupt before delivery." for n in range(CANDIDATES // 8)
    )
    again = [user.scan(many).raise_for_status().json()["scan_id"] for _ in range(10)]
    join()
    answer = found(user, "supplier bankrupt vendor", kind="finding", limit=100)
    shown = [item["finding"]["context"] for item in answer["items"]]
    assert len(shown) == len(set(shown))
    assert {scan for scan, _ in places(answer)} == {again[-1], *scans.values()}
    [vendor] = [i for i in answer["items"] if i["finding"]["scan_id"] == scans[BANKRUPT]]
    assert vendor["ways"] == ["words", "meaning"]


def test_document_is_shown_with_an_earlier_scan_after_its_newest_is_deleted(user, join):
    first, second = (user.scan(BANKRUPT).raise_for_status().json()["scan_id"] for _ in range(2))
    join()
    assert places(found(user, "supplier insolvency")) == [(second, 1)]
    user.http.delete(f"/api/v1/scans/{second}").raise_for_status()
    assert places(found(user, "supplier insolvency")) == [(first, 1)]


def test_same_sentence_in_two_documents_is_shown_of_each(user, join):
    texts = (BANKRUPT, f"The canteen opens at noon. {BANKRUPT}")
    both = {user.scan(text).raise_for_status().json()["scan_id"] for text in texts}
    join()
    assert {scan for scan, _ in places(found(user, "supplier insolvency"))} == both


def test_similar_findings_leave_out_other_scans_of_the_same_document(user, scans, join):
    user.scan(BANKRUPT).raise_for_status()
    join()
    path = f"/api/v1/scans/{scans[BANKRUPT]}/findings/1/similar"
    shown = user.http.get(path).raise_for_status().json()["items"]
    assert BANKRUPT not in {item["finding"]["context"] for item in shown}


def test_similar_findings_leave_out_the_finding_itself(user, scans, join):
    near = user.scan("Our supplier could become insolvent.").json()["scan_id"]
    join()
    path = f"/api/v1/scans/{scans[BANKRUPT]}/findings/1/similar"
    answer = user.http.get(path).raise_for_status().json()
    assert places(answer)[0] == (near, 1)
    assert (scans[BANKRUPT], 1) not in places(answer)
    assert len(user.http.get(path, params={"limit": 1}).json()["items"]) == 1
    missing = user.http.get(f"/api/v1/scans/{scans[BANKRUPT]}/findings/99/similar")
    assert missing.status_code == 404


def test_found_finding_has_the_callers_verdict(user, scans):
    judge(user, f"/api/v1/scans/{scans[BUDGET]}", 1, "rejected").raise_for_status()
    item = found(user, "overspent budget", kind="finding")["items"][0]
    assert item["finding"]["verdict"] == "rejected"


@pytest.mark.system
def test_only_readers_find_anything_of_a_scan(live, user, new_user, new_account, scans):
    """For each kind of caller and each scope: whether search or `similar` shows the owner's finding."""
    people = {role: new_account(role) for role in ("team-reviewer", "reviewer", "admin")}
    people |= {"owner": user, "member": new_user(), "stranger": new_user()}
    team = live.services.teams.create(str(uuid4()), actor=Actor()).id
    for name in ("owner", "member", "team-reviewer"):
        live.services.teams.add_member(team, UUID(people[name].id), actor=Actor())
    user.http.put(f"/api/v1/scans/{scans[CRASH]}/teams/{team}").raise_for_status()
    mine = {(scan, 1) for scan in scans.values()}
    shared = {(scans[CRASH], 1)}
    expected = {
        ("owner", "own"): mine,
        ("owner", "team"): shared,
        ("member", "team"): shared,
        ("team-reviewer", "team"): shared,
        ("team-reviewer", "reviewable"): shared,
        ("owner", "reviewable"): mine,
        ("reviewer", "reviewable"): mine,
        ("admin", "reviewable"): mine,
    }
    for name, person in people.items():
        for scope in ("own", "team", "reviewable"):
            ours = set()
            for words in ("backup restored", "vendor bankrupt", "budget overspent"):
                answer = found(person, words, scope=scope, limit=100)
                ours |= mine & set(places(answer))
            assert ours == expected.get((name, scope), set()), (name, scope)
        path = f"/api/v1/scans/{scans[BUDGET]}/findings/1/similar"
        answer = person.http.get(path, params={"scope": "reviewable", "limit": 100})
        may_read = name in {"owner", "reviewer", "admin"}
        assert answer.status_code == (200 if may_read else 404), name
        if may_read:
            assert mine - {(scans[BUDGET], 1)} <= set(places(answer.json()))


def test_member_finds_by_meaning_what_is_shared_now(live, user, new_user, scans):
    member = new_user()
    team = live.services.teams.create(str(uuid4()), actor=Actor()).id
    for person in (user, member):
        live.services.teams.add_member(team, UUID(person.id), actor=Actor())

    def shown():
        answer = found(member, "supplier insolvency", scope="team", kind="finding")
        return {scan for scan, _ in places(answer)}

    shares = {text: f"/api/v1/scans/{scans[text]}/teams/{team}" for text in TEXTS}
    user.http.put(shares[BANKRUPT]).raise_for_status()
    assert shown() == {scans[BANKRUPT]}
    user.http.put(shares[CRASH]).raise_for_status()
    assert shown() == {scans[BANKRUPT], scans[CRASH]}
    user.http.delete(shares[BANKRUPT]).raise_for_status()
    assert shown() == {scans[CRASH]}


@pytest.mark.usefixtures("scans")
def test_documents_of_others_are_not_found(user, new_user):
    names = found(new_user(), "vendor bankrupt milestone", kind="document")["items"]
    assert names == []
    assert found(user, "vendor bankrupt milestone", kind="document")["items"]


def test_reviewer_who_finds_others_sentences_leaves_an_audit_event(reviewer, admin, scans):
    found(reviewer, "vendor bankrupt milestone", scope="reviewable", limit=100)
    query = {"action": "foreign.read", "user_id": reviewer.id, "object_type": "search"}
    events = admin.http.get("/api/v1/admin/audit-events", params=query).json()["items"]
    assert scans[BANKRUPT] in {scan for e in events for scan in e["detail"]["owner_of_scan"]}
