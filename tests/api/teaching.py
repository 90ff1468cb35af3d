"""Courses with lessons, as instructors write them over HTTP."""

from uuid import uuid4

COURSES, ENROLMENTS, PROGRESS = "/api/v1/courses", "/api/v1/enrolments", "/api/v1/progress"
QUESTION = {"text": "Where do keys live?", "choices": ["In code", "In a vault"], "answers": [1]}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 2000


def new_course(author, **fields):
    """Create an active course; return its path."""
    body = {"code": uuid4().hex[:12], "title": "Secrets in code", "status": "active", **fields}
    response = author.http.post(COURSES, json=body)
    assert response.status_code == 201, response.text
    return response.headers["Location"]


def new_lesson(author, course, **fields):
    response = author.http.post(f"{course}/lessons", json={"title": "Keys", **fields})
    assert response.status_code == 201, response.text
    return response.json()


def course_id(course):
    return course.rsplit("/", 1)[1]


def enrol(user, course, **fields):
    return user.http.post(ENROLMENTS, json={"course_id": course_id(course), **fields})


def finish(user, lesson, **fields):
    return user.http.put(f"{PROGRESS}/{lesson['id']}", json={"completed": True, **fields})


def change(author, path, if_match=None, **fields):
    headers = {"If-Match": if_match or author.http.get(path).headers["ETag"]}
    return author.http.patch(path, json=fields, headers=headers)


def own(user, course):
    """Return the user's enrolment in a course."""
    query = {"course_id": course_id(course)}
    [enrolment] = user.http.get(ENROLMENTS, params=query).raise_for_status().json()["items"]
    return enrolment


def faults(response):
    assert response.status_code == 400, response.text
    return sorted(fault["field"] for fault in response.json()["errors"])
