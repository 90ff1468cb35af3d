"""Search finds lessons by words and by meaning, as far as the caller may read them."""

import secrets
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, select, update

from db.tables import Lesson, Permission, Role, SearchLesson, roles_with
from tests.api.teaching import change, course_id, new_course, new_lesson
from tests.api.test_search import found

pytestmark = pytest.mark.every_database

CERTIFICATES = """# Keeping services reachable

A TLS certificate ends on a fixed day. Nobody notices until it has **expired**, and then every
client refuses to connect.

- Renew it by a machine, not by hand.
- Raise an alarm 30 days before.

| Sign | Ask |
|---|---|
| "valid until" | Who renews it? |
"""
HIRING = "People who leave take their knowledge with them. Hire a second one before the first goes."


@pytest.fixture
def author(new_account):
    return new_account("instructor")


@pytest.fixture
def join(live):
    return live.services.search_indexer.join


def new_word():
    """Return a word that no other lesson has."""
    return "w" + secrets.token_hex(6)


def lessons(user, q, **params):
    """Return the lessons that a search finds by words or by the index, best first."""
    items = found(user, q, kind="lesson", limit=100, **params)["items"]
    assert {item["kind"] for item in items} <= {"lesson"}
    return [item for item in items if "words" in item["ways"]]


def ids(items):
    return [item["lesson"]["id"] for item in items]


def all_ids(user, q="expired certificate"):
    """Return all lessons that a search finds in any way."""
    return ids(found(user, q, kind="lesson", limit=100)["items"])


def test_reviewer_who_looks_for_an_expired_certificate_finds_the_lesson(author, new_account, join):
    course = new_course(author, title="Operations", code=f"OPS-{secrets.token_hex(3)}")
    lesson = new_lesson(author, course, title="Renewal", source=CERTIFICATES)
    new_lesson(author, course, title="Hiring", source=HIRING)
    join()
    answer = found(new_account("reviewer"), "expired certificate")
    item = next(i for i in answer["items"] if i["kind"] == "lesson")
    shown = item["lesson"]
    assert (shown["id"], shown["title"], item["ways"]) == (
        lesson["id"],
        "Renewal",
        ["words", "meaning"],
    )
    assert (shown["course_id"], shown["course_title"]) == (course_id(course), "Operations")
    assert shown["course_code"].startswith("OPS-")
    assert "until it has expired, and then" in shown["snippet"]
    assert (item["finding"], item["document"]) == (None, None)


def test_meaning_finds_a_lesson_and_the_passage_without_a_common_word(author, user, join):
    word = new_word()
    course = new_course(author)
    source = f"{word}.\n\n{HIRING}\n\n" + "The canteen opens at noon. " * 20
    lesson = new_lesson(author, course, title="Staff", source=source)
    other = new_lesson(author, course, title="Renewal", source=CERTIFICATES)
    join()
    answer = found(user, "employees resign and their expertise is lost", kind="lesson")
    assert answer["meaning"] == "all"
    ours = [i for i in answer["items"] if i["lesson"]["id"] in {lesson["id"], other["id"]}]
    assert ids(ours)[0] == lesson["id"]
    assert "take their knowledge" in ours[0]["lesson"]["snippet"]
    assert ours[0]["similarity"] > ours[1]["similarity"]


def test_words_of_a_lesson_alone_occur(author, user, join):
    word = new_word()
    new_lesson(author, new_course(author), title=word)
    join()
    assert found(user, word)["words_occur"] is True
    assert found(user, word[::-1])["words_occur"] is False


def test_markup_addresses_and_answers_are_not_found(author, user, join):
    word = new_word()
    source = f"[plain](https://{word}.example/) **bold** ~~gone~~ `{word[::-1]}`"
    quiz = [{"text": "Which?", "choices": [f"{word}quiz", "b"], "answers": [0]}]
    lesson = new_lesson(author, new_course(author), source=source, quiz=quiz)
    join()
    assert ids(lessons(user, word[::-1])) == [lesson["id"]]
    assert lessons(user, word) == []
    assert lessons(user, f"{word}quiz") == []
    assert lessons(user, word[::-1])[0]["lesson"]["snippet"] == f"plain bold gone {word[::-1]}"


def test_changed_lesson_is_found_by_its_new_words_alone(author, user, join):
    word = new_word()
    course = new_course(author)
    lesson = new_lesson(author, course, title=word, source="Old text.")
    path = f"{course}/lessons/{lesson['id']}"
    join()
    assert ids(lessons(user, word)) == [lesson["id"]]
    change(author, path, title=f"{word}new", source="New text.").raise_for_status()
    join()
    assert lessons(user, word) == []
    [item] = lessons(user, f"{word}new")
    assert item["lesson"]["snippet"] == "New text."


@pytest.mark.parametrize("whole", [False, True], ids=["lesson", "course"])
def test_deleted_lesson_is_found_no_more_and_leaves_no_row(live, author, user, join, whole):
    word = new_word()
    course = new_course(author)
    lesson = new_lesson(author, course, title=word)
    join()
    assert lesson["id"] in all_ids(user)  # its vectors are in memory now
    path = course if whole else f"{course}/lessons/{lesson['id']}"
    author.http.delete(path).raise_for_status()
    assert lesson["id"] not in all_ids(user)
    assert lessons(user, word) == []
    of = SearchLesson.lesson_id == UUID(lesson["id"])
    count = select(func.count()).select_from(SearchLesson).where(of)
    assert live.services.transactions.read(lambda s: s.scalar(count)) == 0


def test_lesson_is_found_by_exactly_those_who_may_get_it(author, new_account, join):
    """For each role and status of the course: search and GET of the lesson agree."""
    people = {role: new_account(role) for role in Role}
    word, course = new_word(), new_course(author, status="draft")
    lesson = new_lesson(author, course, title=word, source=CERTIFICATES)
    join()
    for status in ("draft", "active", "archived", "active"):
        change(author, course, status=status).raise_for_status()
        for role, person in people.items():
            may_get = person.http.get(f"{course}/lessons/{lesson['id']}").status_code == 200
            assert may_get == (status == "active" or role in roles_with(Permission.COURSES))
            for scope in ("own", "team", "reviewable"):
                assert ids(lessons(person, word, scope=scope)) == [lesson["id"]] * may_get
            assert (lesson["id"] in all_ids(person)) == may_get, (role, status)


def test_lessons_that_a_learner_may_not_read_take_no_rank(author, user, join):
    word = new_word()
    for status in ("draft", "archived"):
        hidden = new_course(author, status=status)
        new_lesson(author, hidden, title=word, source=f"{word} {word}")
    shown = new_lesson(author, new_course(author), title="Other", source=f"Once {word}.")
    join()
    [item] = lessons(user, word)
    assert item["lesson"]["id"] == shown["id"]
    assert item["score"] >= 1 / 61
    assert len(lessons(author, word)) == 3


def test_category_finds_lessons_of_courses_about_it_or_one_of_its_risk_types(author, user, join):
    word = new_word()
    [first, second] = user.http.get("/api/v1/taxonomy").json()["categories"][:2]
    topics = [
        {"categories": [first["key"]]},
        {"risk_types": [first["risk_types"][0]["key"]]},
        {"categories": [second["key"]]},
        {},
    ]
    made = [new_lesson(author, new_course(author, **t), title=word)["id"] for t in topics]
    join()
    assert set(ids(lessons(user, word, category=first["key"]))) == set(made[:2])
    assert set(ids(lessons(user, word))) == set(made)


def test_kinds_leave_out_lessons(author, user, join):
    word = new_word()
    new_lesson(author, new_course(author), title=word)
    join()
    assert found(user, word, kind="finding,document")["items"] == []
    assert "lesson" in {item["kind"] for item in found(user, word)["items"]}


def test_odd_characters_and_a_lesson_without_text_are_found(author, user, join):
    word = new_word()
    odd = f"'; DROP TABLE lessons; -- \U0001f535 {word} " + "x" * 5_000
    course = new_course(author)
    lesson = new_lesson(author, course, title="\u00e9\u00df", source=odd)
    empty = new_lesson(author, course, title=f"{word}empty")
    join()
    assert ids(lessons(user, word)) == [lesson["id"]]
    [item] = lessons(user, f"{word}empty")
    assert (item["lesson"]["id"], item["lesson"]["snippet"]) == (empty["id"], "")


def test_reindex_and_catch_up_add_what_search_lacks(live, author, user, join):
    word = new_word()
    course = new_course(author)
    new, stale = (new_lesson(author, course, title=f"{word}{n}")["id"] for n in range(2))
    join()
    run, indexer = live.services.transactions.run, live.services.search_indexer
    for add in (lambda: indexer.reindex(lambda *_: None), indexer.catch_up):
        lost = delete(SearchLesson).where(SearchLesson.lesson_id == UUID(new))
        run(lambda s, lost=lost: s.execute(lost).close())
        title = f"{word}{uuid4().hex}"
        changed = update(Lesson).where(Lesson.id == UUID(stale))
        changed = changed.values(title=title, version=Lesson.version + 1)
        run(lambda s, changed=changed: s.execute(changed).close())
        assert lessons(user, f"{word}0") == []
        assert add() >= 2
        assert ids(lessons(user, f"{word}0")) == [new]
        assert ids(lessons(user, title)) == [stale]
    assert indexer.catch_up() == 0


def test_lessons_without_vectors_are_found_by_words_and_the_answer_says_so(
    live, author, user, join
):
    word = new_word()
    lesson = new_lesson(author, new_course(author), title=word)
    join()
    run = live.services.transactions.run
    run(lambda s: s.execute(update(SearchLesson).values(model=None, vectors=None)).close())
    answer = found(user, word, kind="lesson")
    assert answer["meaning"] == "none"
    assert ids(answer["items"]) == [lesson["id"]]
    live.services.search_indexer.catch_up()
    assert found(user, word, kind="lesson")["meaning"] == "all"
