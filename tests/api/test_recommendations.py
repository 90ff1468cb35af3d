"""Confirmed findings suggest courses, with reasons; nobody sees another user's findings."""

import pytest

from tests.api.reviewing import BUDGET, SCHEDULE, TEXT, finding, judge
from tests.api.teaching import course_id, enrol, finish, new_course, new_lesson

pytestmark = pytest.mark.every_database
RECOMMENDATIONS = "/api/v1/recommendations"


@pytest.fixture
def author(new_account):
    return new_account("instructor")


@pytest.fixture
def scan(user):
    return new_scan(user)


def new_scan(user, text=TEXT):
    return f"/api/v1/scans/{user.scan(text).raise_for_status().json()['scan_id']}"


def recommended(user, **query):
    """Return the user's recommendations by the path of the course, best first."""
    query = {"per_page": 100, **query}
    items = user.http.get(RECOMMENDATIONS, params=query).raise_for_status().json()["items"]
    return {f"/api/v1/courses/{item['course']['id']}": item for item in items}


def confirm(user, scan, risk_type=BUDGET, verdict="confirmed", **body):
    found = finding(user, scan, risk_type)
    judge(user, scan, found["id"], verdict, **body).raise_for_status()
    return {"scan_id": scan.rsplit("/", 1)[1], "n": found["id"]}


def test_confirmed_finding_recommends_a_course_and_says_why(author, user, scan):
    course = new_course(author, risk_types=[BUDGET])
    assert course not in recommended(user)
    place = confirm(user, scan)
    item = recommended(user)[course]
    [reason] = item["reasons"]
    assert (reason["kind"], reason["key"], reason["n_findings"]) == ("risk_type", BUDGET, 1)
    assert reason["findings"] == [{**place, "risk_types": [BUDGET]}]
    assert reason["title"] == "Insufficient or tight budget"
    assert item["enrolment_id"] is None
    enrolment = enrol(user, course, is_recommended=True).json()["enrolment"]
    assert recommended(user)[course]["enrolment_id"] == enrolment["id"]


def test_rejected_disputed_and_withdrawn_findings_recommend_nothing(author, user, scan, reviewer):
    course = new_course(author, risk_types=[BUDGET], categories=["budget"])
    place = confirm(user, scan)
    assert course in recommended(user)
    judge(reviewer, scan, place["n"], "rejected").raise_for_status()
    assert course not in recommended(user)
    reviewer.http.delete(f"{scan}/findings/{place['n']}/feedback").raise_for_status()
    user.http.delete(f"{scan}/findings/{place['n']}/feedback").raise_for_status()
    assert course not in recommended(user)


def test_relabelled_finding_counts_as_what_people_made_of_it(author, user, scan):
    before = new_course(author, risk_types=[BUDGET], categories=["budget"])
    after = new_course(author, risk_types=["outage"])
    confirm(user, scan, verdict="relabelled", risk_types=["outage"])
    assert {before, after} & {*recommended(user)} == {after}


def test_risk_types_come_before_categories_then_more_findings(author, user, scan):
    category = new_course(
        author, code=f"a-{course_id(scan)[:8]}", categories=["budget", "schedule"]
    )
    one = new_course(author, risk_types=[BUDGET])
    two = new_course(author, risk_types=[BUDGET, SCHEDULE])
    draft = new_course(author, status="draft", risk_types=[BUDGET])
    for risk_type in (BUDGET, SCHEDULE):
        confirm(user, scan, risk_type)
    found = recommended(user)
    assert [path for path in found if path in {category, one, two, draft}] == [two, one, category]
    kinds = [reason["kind"] for reason in found[category]["reasons"]]
    assert kinds == ["category", "category"]


def test_completed_course_is_not_recommended(author, user, scan):
    course = new_course(author, risk_types=[BUDGET])
    lesson = new_lesson(author, course)
    confirm(user, scan)
    enrol(user, course).raise_for_status()
    assert course in recommended(user)
    finish(user, lesson).raise_for_status()
    assert course not in recommended(user)


def test_finding_of_a_document_that_was_scanned_again_counts_once(author, user, scan):
    course = new_course(author, risk_types=[BUDGET])
    confirm(user, scan)
    again = new_scan(user)
    [reason] = recommended(user)[course]["reasons"]
    assert [f["scan_id"] for f in reason["findings"]] == [again.rsplit("/", 1)[1]]


def test_findings_of_others_never_appear(author, user, scan, new_user, reviewer):
    course = new_course(author, risk_types=[BUDGET])
    place = confirm(user, scan)
    judge(reviewer, scan, place["n"]).raise_for_status()
    for other in (new_user(), reviewer, author):
        assert course not in recommended(other)
        assert place["scan_id"] not in other.http.get(RECOMMENDATIONS).text


def complete(author, course, user):
    enrol(user, course).raise_for_status()
    [lesson] = author.http.get(f"{course}/lessons").json()["items"]
    finish(user, lesson).raise_for_status()


def effect(user, course, **query):
    return user.http.get(f"{course}/effect", params=query).raise_for_status().json()


def test_effect_compares_the_documents_before_and_after(author, user, scan):
    course = new_course(author, risk_types=[BUDGET])
    new_lesson(author, course)
    assert effect(user, course)["n_learners"] == 0
    confirm(user, scan)
    confirm(user, scan, SCHEDULE)
    complete(author, course, user)
    new_scan(user)  # the same document, so it belongs to the time before
    new_scan(user, "The canteen serves lunch from noon. It is blue.")
    shown = effect(user, course)
    assert shown["n_learners"] == 1
    before, after = shown["before"], shown["after"]
    assert (before["n_documents"], before["n_judged"], after["n_documents"]) == (1, 2, 1)
    assert after["n_judged"] == 0
    rows = {row["category"]: row for row in shown["items"]}
    assert [row["is_taught"] for row in shown["items"]] == [True, False]
    rate = rows["budget"]["before"]
    assert rate["n"] == 1
    assert rate["per_1000"] == pytest.approx(1000 / before["n_sentences"])
    assert rate["low"] < rate["per_1000"] < rate["high"]
    assert rows["budget"]["after"]["n"] == 0
    assert rows["budget"]["after"]["low"] == 0 < rows["budget"]["after"]["high"]
    assert "Byar" in shown["method"]
    assert "no proof" in shown["note"]


def test_effect_on_a_cohort_needs_several_people_with_documents(author, user, new_user):
    course = new_course(author, categories=["budget"])
    new_lesson(author, course)
    confirm(user, new_scan(user))
    for learner in (user, new_user(), new_user()):
        complete(author, course, learner)
    shown = effect(author, course, scope="cohort")
    assert (shown["n_learners"], shown["before"]["n_documents"]) == (3, 0)
    assert [row["before"]["n"] for row in shown["items"]] == [0]


def test_effect_on_a_cohort_is_for_instructors_and_hides_single_people(author, user, new_user):
    course = new_course(author, categories=["budget"])
    new_lesson(author, course)
    assert user.http.get(f"{course}/effect", params={"scope": "cohort"}).status_code == 403
    learners = [user, new_user(), new_user()]
    for n, learner in enumerate(learners, start=1):
        confirm(learner, new_scan(learner))
        complete(author, course, learner)
        shown = effect(author, course, scope="cohort")
        assert shown["n_learners"] == n
        assert bool(shown["items"]) == (n == len(learners))
    assert shown["before"]["n_documents"] == 3
    assert [row["before"]["n"] for row in shown["items"]] == [3]
    new_scan(user, "The canteen serves lunch from noon. It is blue.")  # alone after the course
    assert effect(author, course, scope="cohort")["after"]["n_documents"] == 0
    assert effect(author, course)["n_learners"] == 0
