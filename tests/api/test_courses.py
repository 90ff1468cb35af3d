"""Instructors write courses; learners read active ones, and never a right answer."""

import pytest

from tests.api.teaching import (
    COURSES,
    PNG,
    QUESTION,
    change,
    enrol,
    faults,
    finish,
    new_course,
    new_lesson,
)

pytestmark = pytest.mark.every_database


@pytest.fixture
def author(new_account):
    return new_account("instructor")


@pytest.fixture
def course(author):
    return new_course(author)


def listed(user, **query):
    page = user.http.get(COURSES, params={"per_page": 200, **query}).raise_for_status()
    return [f"{COURSES}/{item['id']}" for item in page.json()["items"]]


def test_course_is_created_with_topics_and_changed(author, user):
    topics = {"categories": ["Security"], "risk_types": ["hardcoded-secrets"]}
    topics = {"categories": [known(user, 0)["title"]], "risk_types": [known(user, 0)["type"]]}
    course = new_course(author, code="pay-7", description="Where keys belong.", **topics)
    shown = user.http.get(course).raise_for_status().json()
    assert (shown["code"], shown["version"], shown["n_lessons"]) == ("PAY-7", 1, 0)
    assert shown["categories"] == [known(user, 0)["key"]]
    assert shown["risk_types"] == [known(user, 0)["type"]]
    changed = change(author, course, title="Keys", categories=[], status="archived")
    assert changed.raise_for_status().headers["ETag"] == '"2"'
    assert (changed.json()["title"], changed.json()["categories"]) == ("Keys", [])
    assert changed.json()["risk_types"] == shown["risk_types"]


def known(user, n):
    """Return key and title of a category of the taxonomy, and its first risk type."""
    category = user.http.get("/api/v1/taxonomy").json()["categories"][n]
    risk_type = category["risk_types"][0]["key"]
    return {"key": category["key"], "title": category["title"], "type": risk_type}


def test_learners_see_active_courses_only(author, user, admin):
    paths = {
        status: new_course(author, status=status) for status in ("draft", "active", "archived")
    }
    for status, path in paths.items():
        visible = status == "active"
        lesson = new_lesson(author, path)
        for below in ("", "/lessons", f"/lessons/{lesson['id']}", "/files"):
            assert user.http.get(path + below).status_code == (200 if visible else 404)
            assert author.http.get(path + below).status_code == 200
        assert enrol(user, path).status_code == (201 if visible else 404)
        assert enrol(admin, path).status_code == (201 if visible else 409)
    assert {*listed(user)} & {*paths.values()} == {paths["active"]}
    assert {*listed(author)} >= {*paths.values()}
    assert listed(user, status="draft") == []
    assert paths["draft"] in listed(author, status="draft")


def test_list_is_searched_filtered_and_paged(author, user):
    topic = known(user, 2)
    first = new_course(author, title="Fjord 50% budget", risk_types=[topic["type"]])
    second = new_course(author, description="About a FJORD_", categories=[topic["key"]])
    assert listed(user, search="fjord") == [second, first]
    assert listed(user, search="50% b") == [first]
    assert listed(user, search="d_") == [second]
    assert first in listed(user, risk_type=topic["type"])
    assert second not in listed(user, risk_type=topic["type"])
    assert second in listed(user, category=topic["title"])
    page = user.http.get(COURSES, params={"search": "fjord", "per_page": 1}).json()
    query = {"search": "fjord", "per_page": 1, "cursor": page["next_cursor"]}
    last = user.http.get(COURSES, params=query).json()
    assert [item["title"] for item in last["items"]] == ["Fjord 50% budget"]
    assert last["next_cursor"] is None


def test_code_is_unique_in_any_case(author):
    new_course(author, code="a.b-1")
    body = {"code": "A.B-1", "title": "x"}
    assert author.http.post(COURSES, json=body).status_code == 409
    assert faults(author.http.post(COURSES, json={"code": "a b", "title": "x"})) == ["code"]


def test_all_faults_of_a_course_are_named(author):
    body = {"title": "", "status": "open", "categories": ["no"], "risk_types": ["none"], "x": 1}
    expected = ["categories.0", "code", "risk_types.0", "status", "title", "x"]
    assert faults(author.http.post(COURSES, json=body)) == expected


def test_change_needs_the_current_etag(author, course):
    missing = author.http.patch(course, json={"title": "x"})
    assert (missing.status_code, missing.json()["code"]) == (428, "precondition_required")
    assert change(author, course, '"1"', title="First").status_code == 200
    stale = change(author, course, '"1"', title="Second")
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    assert author.http.get(course).json()["title"] == "First"
    assert change(author, course, 'W/"2"', title="Third").status_code == 412
    assert change(author, course, '"2:gzip"', title="Fourth").status_code == 200
    assert change(author, course, "*", title="Fifth").status_code == 200
    assert change(author, course, "abc", title="Sixth").status_code == 412
    headers = {"If-Match": '"1"'}
    assert author.http.delete(course, headers=headers).status_code == 412


def test_lesson_has_an_etag_of_its_own_that_compression_keeps_valid(author, course):
    lesson = new_lesson(author, course, source="Long text. " * 500)
    path = f"{course}/lessons/{lesson['id']}"
    answer = author.http.get(path, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    new_lesson(author, course)
    assert change(author, path, answer.headers["ETag"], minutes=9).json()["version"] == 2
    assert change(author, path, answer.headers["ETag"], minutes=8).status_code == 412
    assert author.http.patch(path, json={"minutes": 7}).status_code == 428
    assert author.http.get(course).json()["version"] == 4


def test_markdown_is_rendered_without_anything_that_runs(author, course, user):
    source = """# Keys
<script>alert(1)</script><img src=x onerror=alert(1)>
[evil](javascript:alert(1)) [data](data:text/html;base64,AAAA) [out](https://example.com "t")
![far](https://example.com/pixel.png) ![gone](missing.png)

| a | b |
|---|:-:|
| 1 | ~~2~~ |
"""
    lesson = new_lesson(author, course, source=source)
    html = user.http.get(f"{course}/lessons/{lesson['id']}").json()["html"]
    assert "<h2>Keys</h2>" in html
    assert "<script" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html
    assert 'href="data' not in html
    link = '<a href="https://example.com" title="t" rel="noopener noreferrer">out</a>'
    assert link in html
    assert "far" in html
    assert "<td>1</td>" in html
    assert "style" not in html
    shown = author.http.post(f"{course}/lessons/preview", json={"source": source}).json()
    assert shown == {"html": html}


def test_right_answers_are_for_authors_alone(author, course, user):
    lesson = new_lesson(author, course, quiz=[QUESTION], source="*x*")
    path = f"{course}/lessons/{lesson['id']}"
    assert author.http.get(path).json()["quiz"] == [QUESTION]
    shown = user.http.get(path).json()
    assert shown["quiz"] == [{**QUESTION, "answers": None}]
    assert shown["source"] is None
    listed = user.http.get(f"{course}/lessons").text
    assert "vault" not in listed
    assert '"n_questions":1' in listed


def test_faults_of_a_quiz_are_named(author, course):
    questions = [{**QUESTION, "answers": [2]}, {**QUESTION, "choices": ["one"], "answers": []}]
    body = {"title": "Keys", "minutes": 0, "quiz": questions}
    refused = faults(author.http.post(f"{course}/lessons", json=body))
    assert refused == ["minutes", "quiz.0.answers", "quiz.1.answers", "quiz.1.choices"]


def test_lessons_are_reordered_by_one_request(author, course, user):
    ids = [new_lesson(author, course, title=title)["id"] for title in "abc"]
    turned = ids[::-1]
    order = f"{course}/lessons/order"
    etag = author.http.get(course).headers["ETag"]
    headers = {"If-Match": etag}
    answer = author.http.put(order, json={"lesson_ids": turned}, headers=headers)
    assert [item["title"] for item in answer.raise_for_status().json()["items"]] == [*"cba"]
    assert [item["id"] for item in user.http.get(f"{course}/lessons").json()["items"]] == turned
    again = author.http.put(order, json={"lesson_ids": ids}, headers=headers)
    assert again.status_code == 412
    for wrong in (ids[:2], [*ids[:2], ids[0]], [*ids[:2], course.rsplit("/", 1)[1]]):
        assert faults(author.http.put(order, json={"lesson_ids": wrong})) == ["lesson_ids"]


def test_files_are_shown_in_lessons_and_downloaded_safely(author, course, user):
    def add(name, data):
        return author.http.post(f"{course}/files", files={"file": (name, data, "text/html")})

    picture = add("Risk map.png", PNG).raise_for_status().json()
    notes = add("notes.txt", b"<script>alert(1)</script>").raise_for_status().json()
    lesson = new_lesson(
        author, course, source="![Map](<Risk map.png>) [n](notes.txt) ![t](notes.txt)"
    )
    html = user.http.get(f"{course}/lessons/{lesson['id']}").json()["html"]
    assert f'<img src="{course}/files/{picture["id"]}/content" alt="Map">' in html
    assert f'href="{course}/files/{notes["id"]}/content"' in html
    assert html.count("<img") == 1
    answer = user.http.get(f"{course}/files/{picture['id']}/content", headers={"Accept": "image/*"})
    assert (answer.content, answer.headers["Content-Type"]) == (PNG, "image/png")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="Risk map.png"')
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    headers = {"If-None-Match": answer.headers["ETag"]}
    assert user.http.get(str(answer.url), headers=headers).status_code == 304
    text = user.http.get(f"{course}/files/{notes['id']}/content")
    assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert add("notes.txt", b"").status_code == 409
    assert author.http.delete(f"{course}/files/{notes['id']}").status_code == 204
    names = [file["name"] for file in user.http.get(f"{course}/files").json()["items"]]
    assert names == ["Risk map.png"]


@pytest.mark.parametrize(
    ("name", "data", "status"),
    [
        ("a.svg", b"<svg/>", 415),
        ("a.html", b"<p>", 415),
        ("a.png", b"<svg/>", 415),
        ("a", b"", 415),
        ("a(1).png", PNG, 400),
        ("a.txt", b"x" * (5 * 2**20 + 1), 413),
    ],
)
def test_file_of_another_type_or_too_large_is_refused(author, course, name, data, status):
    answer = author.http.post(f"{course}/files", files={"file": (name, data)})
    assert answer.status_code == status
    assert author.http.get(f"{course}/files").json()["items"] == []


def test_deleted_course_takes_all_that_belongs_to_it(author, course, user):
    lesson = new_lesson(author, course)
    author.http.post(f"{course}/files", files={"file": ("a.png", PNG)}).raise_for_status()
    enrol(user, course).raise_for_status()
    finish(user, lesson).raise_for_status()
    assert author.http.delete(course).status_code == 204
    assert author.http.get(course).status_code == 404
    assert user.http.get("/api/v1/enrolments").json()["items"] == []
    assert finish(user, lesson).status_code == 404


def test_lesson_is_deleted_with_its_progress(author, course, user):
    first, second = new_lesson(author, course), new_lesson(author, course)
    enrol(user, course).raise_for_status()
    finish(user, first).raise_for_status()
    assert author.http.delete(f"{course}/lessons/{first['id']}").status_code == 204
    [item] = user.http.get(f"{course}/lessons").json()["items"]
    assert (item["id"], item["progress"]) == (second["id"], None)
    other = new_course(author)
    assert author.http.delete(f"{other}/lessons/{second['id']}").status_code == 404
