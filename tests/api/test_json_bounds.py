"""Bounds reject expensive JSON bodies before validation."""

import json

import pytest

from service.api.http.limits import (
    MAX_JSON_DEPTH,
    MAX_JSON_DIGITS,
    MAX_JSON_FIELDS,
    MAX_JSON_ITEMS,
)

JSON = {"Content-Type": "application/json"}


def post(user, body):
    return user.http.post("/api/scan", content=body, headers=JSON)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("{" + ",".join(f'"a{n}":1' for n in range(200_000)) + "}", f"{MAX_JSON_FIELDS:,} fields"),
        ('{"text":[' + "{}," * 200_000 + "{}]}", f"{MAX_JSON_ITEMS:,} values"),
        ('{"text":' + "[" * 100_000 + "]" * 100_000 + "}", f"{MAX_JSON_DEPTH} nested levels"),
        ('{"text":' + "1" * (MAX_JSON_DIGITS + 1) + "}", f"{MAX_JSON_DIGITS} digits"),
        ("1 " * 200_000, f"{MAX_JSON_ITEMS:,} values"),
    ],
)
def test_json_beyond_a_bound_names_it(user, body, named):
    answer = post(user, body.encode())
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert named in answer.json()["detail"]
    assert answer.json()["errors"] == []


@pytest.mark.parametrize("body", [b'{"text":"' + b'\\"' * 100_000, b'{"text":"a\\', b"\xff", b""])
def test_json_truncated_is_rejected_as_invalid(user, body):
    assert "not valid JSON" in post(user, body).json()["detail"]


@pytest.mark.parametrize("indent", [None, 8])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_json_marks_and_digits_in_strings_do_not_count(user, encoding, indent):
    text = 'The vendor may fail. {["\\:, ' + '":,{[]}\\' * 2_000 + "1" * 100 + "\n\u00e4"
    body = json.dumps({"text": text, "force_llm": False}, indent=indent, ensure_ascii=False)
    answer = post(user, body.encode(encoding))
    assert answer.status_code == 201
    stored = user.http.get(answer.headers["Location"]).json()
    assert stored["coverage"]["characters"] == len(text)


def test_json_with_the_maximum_of_fields_names_the_first_unknown_ones(user):
    answer = post(user, json.dumps({f"f{n}": 1 for n in range(MAX_JSON_FIELDS)}).encode())
    assert len(answer.json()["errors"]) == 50
    assert "and more faults" in answer.json()["detail"]


def test_json_with_a_long_repeated_field_truncates_its_name(user):
    name = "a" * 100_000
    answer = post(user, f'{{"{name}":1,"{name}":2}}'.encode())
    assert answer.status_code == 400
    assert len(answer.content) < 2_000
