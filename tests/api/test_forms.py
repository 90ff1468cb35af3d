"""Multipart forms, read whole or as a stream: the heads of their parts are bounded, and each has a name."""

import pytest

from service.api.http.limits import MAX_PART_HEAD_BYTES
from tests.api.filing import new_session
from tests.support.traced_memory import traced

LOGIN, SCAN, BATCHES = "/api/v1/auth/login", "/api/v1/scan", "/api/v1/batches"
NAMED = 'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n'


def post(user, path, *heads, boundary="b"):
    """Send a form whose parts have these heads; "files" stands for the files of a session."""
    url = f"{new_session(user)}/files" if path == "files" else path
    parts = "".join(f"--{boundary}\r\n{head}\r\nThe vendor may fail.\r\n" for head in heads)
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return user.http.post(url, content=f"{parts}--{boundary}--\r\n".encode(), headers=kind)


@pytest.mark.parametrize("path", [LOGIN, SCAN, BATCHES, "files"])
@pytest.mark.parametrize(
    "line", ["Content-Type: text/plain" + ";a=b" * 5_000 + "\r\n", "a:\r\n" * 5_000]
)
def test_head_of_a_part_that_is_too_long_is_400(user, path, line):
    answer = post(user, path, NAMED + line)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "more than 8,192 bytes" in answer.json()["detail"]


def test_head_of_millions_of_lines_takes_no_memory(user):
    body_bytes = 2_000_000
    with traced() as memory:
        assert post(user, SCAN, NAMED + "a\r\n" * (body_bytes // 3)).status_code == 400
    assert memory.peak_bytes < 8 * body_bytes


@pytest.mark.parametrize("path", [SCAN, BATCHES, "files"])
def test_head_as_long_as_allowed_is_read(user, path):
    padding = MAX_PART_HEAD_BYTES - len(NAMED) - len("X: \r\n\r\n")
    assert post(user, path, f"{NAMED}X: {'a' * padding}\r\n").status_code in {201, 202}


@pytest.mark.parametrize("path", [LOGIN, SCAN, BATCHES, "files"])
@pytest.mark.parametrize("boundary", ["", "b" * 71])
def test_boundary_of_a_wrong_length_is_400(user, path, boundary):
    answer = post(user, path, NAMED, boundary=boundary)
    assert (answer.status_code, "1 to 70 characters" in answer.text) == (400, True)


@pytest.mark.parametrize("path", [LOGIN, SCAN, BATCHES, "files"])
@pytest.mark.parametrize("head", ["", '; filename="a.txt"'], ids=["field", "file"])
@pytest.mark.parametrize("n_parts", [1, 2])
def test_part_without_a_name_is_400(user, path, head, n_parts):
    parts = [f"Content-Disposition: form-data{head}\r\n"] * n_parts
    answer = post(user, path, *parts)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "no name" in answer.json()["detail"]


def test_file_without_a_name_behind_another_is_400(user):
    answer = post(user, BATCHES, NAMED, 'Content-Disposition: form-data; filename="b.txt"\r\n')
    assert (answer.status_code, "no name" in answer.json()["detail"]) == (400, True)
