"""Rows of courses and of who takes them, owners before the rows that they own."""

from tests.db.old_rows import KEYED, SCAN, USER

CREATED_AT = "2026-01-02 03:04:05"
_COURSE = {
    "id": SCAN,
    "code": "SEC-101",
    "title": "Geheimnisse é",
    "description": "é",
    "version": 2,
}
_COURSE |= {"status": "active", "created_at": CREATED_AT, "updated_at": CREATED_AT}
_LESSON = {
    "id": SCAN,
    "course_id": SCAN,
    "position": 1,
    "title": "é",
    "source": "# é",
    "version": 1,
}
_LESSON |= {"minutes": 5, "created_at": CREATED_AT, "updated_at": CREATED_AT}
_COURSE_FILE = {"id": SCAN, "course_id": SCAN, "name": "é.png", "media_type": "image/png"}
_COURSE_FILE |= {"size_bytes": 2, "sha256": "0" * 64, "created_at": CREATED_AT}
_ENROLMENT = {"id": SCAN, "user_id": USER, "course_id": SCAN, "source": "role", "enrolled_by": SCAN}
_ENROLMENT |= {"due_at": CREATED_AT, "created_at": CREATED_AT}
_PROGRESS = {"id": SCAN, "user_id": USER, "lesson_id": SCAN, "completed_at": CREATED_AT}
_PROGRESS |= {"answers": "[[0]]", "n_right": 1, "n_questions": 1, "updated_at": CREATED_AT}
_LESSON_WORDS = {
    "id": 1,
    "lesson_id": SCAN,
    "version": 2,
    "passages": "Zölle\né",
    "words": "lxzoll",
}
_LESSON_WORDS |= {"model": "0" * 64, "vectors": b"\x00\xff"}
COURSE_ROWS = [
    ("courses", [_COURSE]),
    ("course_topics", [{"course_id": SCAN, "kind": "category", "topic": "security"}]),
    ("lessons", [_LESSON, {**_LESSON, "id": KEYED, "quiz": "[]"}]),
    ("search_lessons", [_LESSON_WORDS]),
    ("course_files", [_COURSE_FILE]),
    ("course_file_pieces", [{"file_id": SCAN, "n": 1, "data": b"\x00\xff"}]),
    ("enrolments", [_ENROLMENT]),
    ("lesson_progress", [_PROGRESS]),
]
