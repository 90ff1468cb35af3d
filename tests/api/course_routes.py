"""Who may call the routes of courses, and a course for their parameters."""

from dataclasses import replace
from uuid import uuid4

from tests.api.access import ACCOUNTS, ANYONE, to

FORM = {"file": ("a.txt", b"a")}
COURSE = "/api/v1/courses/<uuid:course_id>"
LESSON = f"{COURSE}/lessons/<uuid:lesson_id>"
COURSE_FILE = f"{COURSE}/files/<uuid:course_file_id>"
ENROLMENT = "/api/v1/enrolments/<uuid:enrolment_id>"
INSTRUCTORS = to("instructor", "admin")
ENROLLED = to("owner", "instructor", "admin", refusal=404)
COURSE_ROUTES = {
    ("GET", "/courses"): ANYONE,  # the pages redirect to the log-in
    ("GET", "/courses/<uuid:course_id>"): ANYONE,
    ("GET", "/courses/<uuid:course_id>/lessons/<uuid:lesson_id>"): ANYONE,
    ("GET", "/courses/<uuid:course_id>/edit"): ANYONE,
    ("GET", "/courses/<uuid:course_id>/cohort"): ANYONE,
    ("GET", "/api/v1/courses"): replace(ACCOUNTS, scope="read"),
    ("POST", "/api/v1/courses"): INSTRUCTORS,
    ("GET", COURSE): replace(ACCOUNTS, scope="read"),
    ("PATCH", COURSE): INSTRUCTORS,
    ("DELETE", COURSE): INSTRUCTORS,
    ("GET", f"{COURSE}/lessons"): replace(ACCOUNTS, scope="read"),
    ("POST", f"{COURSE}/lessons"): INSTRUCTORS,
    ("PUT", f"{COURSE}/lessons/order"): INSTRUCTORS,
    ("POST", f"{COURSE}/lessons/preview"): INSTRUCTORS,
    ("GET", LESSON): replace(ACCOUNTS, scope="read"),
    ("PATCH", LESSON): INSTRUCTORS,
    ("DELETE", LESSON): INSTRUCTORS,
    ("GET", f"{COURSE}/files"): replace(ACCOUNTS, scope="read"),
    ("POST", f"{COURSE}/files"): replace(INSTRUCTORS, files=FORM),
    ("GET", f"{COURSE_FILE}/content"): replace(ACCOUNTS, scope="read"),
    ("DELETE", COURSE_FILE): INSTRUCTORS,
    ("GET", f"{COURSE}/cohort"): replace(INSTRUCTORS, scope="read"),
    ("GET", f"{COURSE}/cohort/export"): replace(INSTRUCTORS, scope="read"),
    ("GET", f"{COURSE}/effect"): replace(ACCOUNTS, scope="read"),
    ("GET", "/api/v1/recommendations"): replace(ACCOUNTS, scope="read"),
    ("GET", "/api/v1/enrolments"): replace(ACCOUNTS, scope="read"),
    ("POST", "/api/v1/enrolments"): ACCOUNTS,
    ("GET", ENROLMENT): replace(ENROLLED, scope="read"),
    ("DELETE", ENROLMENT): ENROLLED,
    ("PUT", "/api/v1/progress/<uuid:lesson_id>"): ACCOUNTS,
    ("POST", "/api/v1/progress"): ACCOUNTS,
}


def add_course(accounts):
    """Add an active course that the owner takes."""
    http = accounts["instructor"].http
    body = {"code": str(uuid4()), "title": "Secrets", "status": "active"}
    course = http.post("/api/v1/courses", json=body).raise_for_status().json()["id"]
    path = f"/api/v1/courses/{course}"
    lesson = http.post(f"{path}/lessons", json={"title": "Keys"}).raise_for_status().json()
    file = http.post(f"{path}/files", files=FORM).raise_for_status().json()
    enrolled = accounts["owner"].http.post("/api/v1/enrolments", json={"course_id": course})
    return {
        "<uuid:course_id>": course,
        "<uuid:lesson_id>": lesson["id"],
        "<uuid:course_file_id>": file["id"],
        "<uuid:enrolment_id>": enrolled.raise_for_status().json()["enrolment"]["id"],
    }
