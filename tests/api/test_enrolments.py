"""People take courses, and are graded; each sees their own progress, instructors everybody's."""

import csv
import io
import json
import threading
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.teaching import (
    ENROLMENTS,
    PROGRESS,
    QUESTION,
    change,
    course_id,
    enrol,
    faults,
    finish,
    new_course,
    new_lesson,
    own,
)
from tests.support.statements import recorded_statements

pytestmark = pytest.mark.every_database
PAST, FUTURE = "2026-01-01T00:00:00Z", "2099-01-01T00:00:00+02:00"


@pytest.fixture
def author(new_account):
    return new_account("instructor")


@pytest.fixture
def course(author):
    return new_course(author)


def cohort(author, course, **query):
    return author.http.get(f"{course}/cohort", params=query).raise_for_status().json()


def test_status_follows_from_the_lessons(author, course, user):
    lessons = [new_lesson(author, course) for _ in range(2)]
    created = enrol(user, course)
    assert created.status_code == 201
    assert created.headers["Location"] == f"{ENROLMENTS}/{created.json()['enrolment']['id']}"
    assert (own(user, course)["status"], own(user, course)["n_lessons"]) == ("not_started", 2)
    for lesson, status in zip(lessons, ("in_progress", "completed"), strict=True):
        done = finish(user, lesson).raise_for_status().json()
        assert own(user, course)["status"] == status
    assert own(user, course)["completed_at"] == done["completed_at"]
    new_lesson(author, course)
    assert (own(user, course)["status"], own(user, course)["completed_at"]) == ("in_progress", None)
    undone = user.http.put(f"{PROGRESS}/{lessons[0]['id']}", json={"completed": False})
    assert undone.json()["completed_at"] is None
    assert own(user, course)["n_done"] == 1


def test_course_without_lessons_is_never_completed(course, user, author):
    enrol(user, course).raise_for_status()
    assert own(user, course)["status"] == "not_started"
    assert cohort(author, course)["counts"]["completed"] == 0


def test_overdue_course_is_completed_late(author, course, user):
    lesson = new_lesson(author, course)
    enrol(author, course, email=user.email.upper(), due_at=PAST).raise_for_status()
    assert own(user, course)["status"] == "overdue"
    finish(user, lesson).raise_for_status()
    assert own(user, course)["status"] == "completed"
    enrol(author, course, user_id=user.id, due_at=FUTURE).raise_for_status()
    assert own(user, course)["due_at"] == "2098-12-31T22:00:00+00:00"


def test_enrolment_again_changes_nothing(course, user):
    first = enrol(user, course, is_recommended=True).json()
    again = enrol(user, course)
    assert (again.status_code, again.json()["n_existing"]) == (200, 1)
    assert again.json()["enrolment"] == first["enrolment"]
    assert own(user, course)["source"] == "recommended"


def test_instructor_enrols_a_team_and_a_role(author, course, admin, user, new_user):
    team = admin.http.post("/api/v1/teams", json={"name": course}).json()["id"]
    other = new_user()
    for member in (user, other):
        admin.http.put(f"/api/v1/teams/{team}/members/{member.id}").raise_for_status()
    enrol(user, course).raise_for_status()
    answer = enrol(author, course, team_id=team, due_at=FUTURE)
    assert answer.status_code == 201
    assert answer.json() == {"enrolment": None, "n_created": 1, "n_existing": 1}
    assert (own(other, course)["source"], own(user, course)["due_at"]) == ("manual", None)
    by_self = own(other, course)["enrolled_by_self"], own(user, course)["enrolled_by_self"]
    assert by_self == (False, True)
    everybody = enrol(author, course, role="instructor").json()
    assert everybody["n_created"] >= 1
    assert own(author, course)["source"] == "role"
    assert enrol(author, course, role="instructor").status_code == 200


def test_team_is_enrolled_by_two_statements(author, course, admin, user, new_user):
    team = admin.http.post("/api/v1/teams", json={"name": course}).json()["id"]
    for member in (user, new_user(), new_user()):
        admin.http.put(f"/api/v1/teams/{team}/members/{member.id}").raise_for_status()
    with recorded_statements() as sent:
        assert enrol(author, course, team_id=team).json()["n_created"] == 3
    tables = [statement.split()[2] for statement, _ in sent if statement.startswith("INSERT")]
    assert sorted(tables) == ["audit_events", "enrolments"]
    query = {"action": "enrolment.created", "user_id": author.id}
    events = admin.http.get("/api/v1/admin/audit-events", params=query).json()["items"]
    assert user.id in {event["detail"]["user_id"] for event in events}
    assert len(events) == 3


def test_only_instructors_enrol_others(author, course, user, new_user):
    other = new_user()
    for whom in ({"user_id": other.id}, {"role": "user"}, {"due_at": FUTURE}):
        assert enrol(user, course, **whom).status_code == 403
    assert faults(enrol(author, course, role="user", email="a@b.local")) == ["role"]
    assert faults(enrol(author, course, email="nobody@b.local")) == ["email"]
    assert enrol(author, course, team_id=user.id).status_code == 404
    assert enrol(author, f"{course[:-12]}{'0' * 12}").status_code == 404


def test_learner_ends_own_enrolment_but_not_an_assigned_one(author, course, user, new_user):
    enrolment = enrol(user, course).json()["enrolment"]
    assert user.http.delete(f"{ENROLMENTS}/{enrolment['id']}").status_code == 204
    assigned = enrol(author, course, user_id=user.id).json()["enrolment"]
    path = f"{ENROLMENTS}/{assigned['id']}"
    assert user.http.delete(path).status_code == 409
    assert new_user().http.delete(path).status_code == 404
    assert author.http.delete(path).status_code == 204


def test_quiz_is_graded_and_completes_the_lesson_when_passed(author, course, user):
    quiz = [QUESTION, {**QUESTION, "choices": ["a", "b", "c"], "answers": [0, 2]}]
    lesson = new_lesson(author, course, quiz=quiz)
    enrol(user, course).raise_for_status()
    assert faults(finish(user, lesson)) == ["answers"]
    assert faults(finish(user, lesson, answers=[[1]])) == ["answers"]
    failed = finish(user, lesson, answers=[[1], [0]]).raise_for_status().json()
    assert (failed["right"], failed["is_passed"], failed["completed_at"]) == (
        [True, False],
        False,
        None,
    )
    assert own(user, course)["n_done"] == 0
    passed = finish(user, lesson, answers=[[1], [2, 0]]).json()
    assert (passed["n_right"], passed["n_questions"], passed["is_passed"]) == (2, 2, True)
    later = finish(user, lesson, answers=[[0], [1]]).json()
    assert (later["is_passed"], later["completed_at"]) == (False, passed["completed_at"])
    shown = user.http.get(f"{course}/lessons/{lesson['id']}").json()["progress"]
    assert shown == {"completed_at": passed["completed_at"], "n_right": 0, "n_questions": 2}
    assert faults(finish(user, new_lesson(author, course), answers=[[0]])) == ["answers"]


def test_same_progress_again_changes_nothing(author, course, user):
    lesson = new_lesson(author, course, quiz=[QUESTION])
    enrol(user, course).raise_for_status()
    first = finish(user, lesson, answers=[[1]]).json()
    assert finish(user, lesson, answers=[[1]]).json() == first
    assert finish(user, lesson).json()["completed_at"] == first["completed_at"]


def test_batch_of_progress_is_stored_whole_or_not_at_all(author, course, user):
    plain, asked = new_lesson(author, course), new_lesson(author, course, quiz=[QUESTION])
    hidden = new_lesson(author, new_course(author, status="draft"))
    enrol(user, course).raise_for_status()
    items = [{"lesson_id": plain["id"], "completed": True}]

    def send(*more):
        return user.http.post(PROGRESS, json={"items": [*items, *more]})

    wrong = {"lesson_id": asked["id"], "completed": True, "answers": [[1], [0]]}
    assert faults(send(wrong)) == ["items.1.answers"]
    refused = send({"lesson_id": hidden["id"], "completed": True})
    assert refused.status_code == 404
    assert refused.json()["errors"][0]["field"] == "items.1.lesson_id"
    assert faults(send(items[0])) == ["items"]
    assert faults(send({"completed": True})) == ["items.1.lesson_id"]
    assert own(user, course)["n_done"] == 0
    stored = send({**wrong, "answers": [[1]]}).raise_for_status().json()["items"]
    assert [item["is_passed"] for item in stored] == [None, True]
    assert own(user, course)["status"] == "completed"


def test_progress_needs_an_enrolment(author, course, user):
    lesson = new_lesson(author, course)
    refusal = finish(user, lesson)
    assert refusal.status_code == 409
    assert refusal.json()["detail"].endswith(". Enrol in it first.")
    enrol(user, course).raise_for_status()
    change(author, course, status="archived").raise_for_status()
    assert finish(user, lesson).status_code == 404
    assert own(user, course)["course_status"] == "archived"


def test_concurrent_reports_and_enrolments_leave_one_row(author, course, user):
    lesson = new_lesson(author, course)
    statuses = []

    def work():
        statuses.append(enrol(user, course).status_code)
        statuses.append(finish(user, lesson).status_code)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 7 + [201]
    assert own(user, course)["status"] == "completed"


def test_progress_of_others_never_appears(author, course, user, new_user):
    other = new_user()
    lesson = new_lesson(author, course)
    for learner in (user, other):
        enrol(learner, course).raise_for_status()
    finish(other, lesson).raise_for_status()
    assert own(user, course)["n_done"] == 0
    [shown] = user.http.get(f"{course}/lessons").json()["items"]
    assert shown["progress"] is None
    assert user.http.get(f"{course}/lessons/{lesson['id']}").json()["progress"] is None
    path = f"{ENROLMENTS}/{own(other, course)['id']}"
    assert user.http.get(path).status_code == 404
    assert author.http.get(path).json()["status"] == "completed"
    assert other.id not in user.http.get(ENROLMENTS).text
    assert user.http.get(f"{course}/cohort").status_code == 403


def test_cohort_has_counts_pages_and_a_csv_without_formulas(author, course, live, admin, new_user):
    lessons = [new_lesson(author, course) for _ in range(2)]
    learners = [new_user() for _ in range(3)]
    for learner in learners:
        enrol(learner, course).raise_for_status()
    soon = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    enrol(author, course, user_id=learners[0].id, due_at=soon).raise_for_status()
    finish(learners[1], lessons[0]).raise_for_status()
    for lesson in lessons:
        finish(learners[2], lesson).raise_for_status()
    formula = live.services.accounts.register(f"=cmd{course_id(course)}@x.local", "correct horse")
    enrol(author, course, user_id=str(formula.id)).raise_for_status()
    page = cohort(author, course, per_page=3)
    expected = {"not_started": 1, "in_progress": 1, "completed": 1, "overdue": 1}
    assert page["counts"] == expected
    rest = cohort(author, course, cursor=page["next_cursor"])
    rows = [*page["items"], *rest["items"]]
    assert [row["email"] for row in rows] == [formula.email, *[u.email for u in learners[::-1]]]
    assert [row["n_done"] for row in rows] == [0, 2, 1, 0]
    assert [row["enrolled_by_self"] for row in rows] == [False, True, True, True]
    answer = author.http.get(f"{course}/cohort/export", headers={"Accept": "text/csv"})
    assert answer.headers["Content-Disposition"] == "attachment; filename=cohort.csv"
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert lines[0]["email"] == f"'{formula.email}"
    assert [line["status"] for line in lines] == [
        "not_started",
        "completed",
        "in_progress",
        "overdue",
    ]
    assert lines[1]["completed_at"] == rows[1]["completed_at"]
    logged = admin.http.get("/api/v1/admin/report-logs", params={"kind": "cohort"}).json()["items"]
    newest = next(row for row in logged if row["user_id"] == author.id)
    assert (newest["n_rows"], newest["outcome"]) == (4, "finished")
    assert newest["scope"] == {"course_id": course_id(course)}


def test_progress_is_audited_exported_and_erased(author, course, user, admin):
    lesson = new_lesson(author, course)
    enrol(user, course).raise_for_status()
    finish(user, lesson).raise_for_status()
    query = {"action": "progress.changed", "user_id": user.id}
    events = admin.http.get("/api/v1/admin/audit-events", params=query).json()["items"]
    assert [event["object_id"] for event in events] == [lesson["id"]]
    archive = zipfile.ZipFile(io.BytesIO(user.http.get("/api/v1/auth/me/data").content))
    [enrolment] = archive.read("enrolments.jsonl").splitlines()
    [progress] = archive.read("lesson_progress.jsonl").splitlines()
    assert json.loads(enrolment)["course_id"] == course_id(course)
    assert json.loads(progress)["lesson_id"] == lesson["id"]
    assert admin.http.delete(f"/api/v1/users/{user.id}").status_code == 204
    assert cohort(author, course)["items"] == []
