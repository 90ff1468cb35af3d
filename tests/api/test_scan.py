"""POST /api/v1/scan and POST /scan: body types, files, and rejected requests."""

import json
import random

import pytest

from tests.support import documents
from tests.support.calls import HTTP
from tests.support.sentences import FLOW_TEXT


def findings(user, scan_id):
    return user.http.get(f"/api/v1/scans/{scan_id}/findings?per_page=1000").json()["items"]


BODIES = {
    "multipart": {"files": {"text": (None, FLOW_TEXT)}},
    "urlencoded": {"data": {"text": FLOW_TEXT}},
    "json": {"json": {"text": FLOW_TEXT}},
    "file": {"files": {"file": ("plan.txt", FLOW_TEXT.encode())}},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", ["/api/scan", "/api/v1/scan"])
def test_scan_reads_every_body_type(user, path, body):
    answer = user.http.post(path, **body)
    assert answer.status_code == 201
    assert sorted(i["category"] for i in answer.json()["data"]) == ["Budget", "Schedule"]
    assert answer.headers["Location"] == f"/api/v1/scans/{answer.json()['scan_id']}"


def test_root_scan_returns_data_and_source_and_stores_nothing(user):
    answer = user.http.post("/scan", json={"text": FLOW_TEXT})
    assert answer.status_code == 200
    assert set(answer.json()) == {"data", "source"}
    assert user.http.get("/api/scans").json()["total"] == 0


def test_root_scan_without_token_is_401_unless_open(client, start_service):
    assert client.post("/scan", json={"text": FLOW_TEXT}).status_code == 401
    live = start_service(AI_SERVICE_OPEN="true")
    assert HTTP.post(f"{live.url}/scan", json={"text": FLOW_TEXT}).status_code == 200


def test_finding_spans_match_the_text(user):
    text = f"  \u202bIntro.\u202c \U0001f600 {FLOW_TEXT}.\n\nNone of this was tested.  "
    items = findings(user, user.scan(text).json()["scan_id"])
    assert {f["risk_type"] for f in items} >= {"tight-budget", "aggressive-deadline"}
    for f in items:
        assert text[f["start"] : f["end"]] == f["context"]
        assert 0 < f["score"] <= 1
        assert f["page"] is None


def test_scan_stores_its_coverage(user):
    scan_id = user.scan("One is fine. Two is fine.").json()["scan_id"]
    coverage = user.http.get(f"/api/scans/{scan_id}").json()["coverage"]
    assert coverage == {
        "characters": 25,
        "sentences": 2,
        "pages": None,
        "pages_without_text": [],
        "pages_by_ocr": [],
        "parts": [],
        "truncated": False,
        "language": "en",
        "language_share": 1.0,
        "hidden_findings": 0,
    }


@pytest.mark.system
def test_scan_of_a_200_page_pdf_is_complete_with_page_numbers(user):
    planted_on = (1, 57, 123, 200)
    file = ("book.pdf", documents.long_pdf(200, planted_on), "application/pdf")
    scan = user.http.post("/api/scan", files={"file": file})
    assert scan.status_code == 201, scan.text
    stored = user.http.get(f"/api/scans/{scan.json()['scan_id']}").json()
    assert stored["coverage"]["pages"] == 200
    hits = [f for f in all_findings(user, stored["scan_id"]) if documents.PLANTED in f["context"]]
    assert sorted({f["page"] for f in hits}) == list(planted_on)


def all_findings(user, scan_id):
    items, after = [], 0
    while after is not None:
        page = user.http.get(f"/api/v1/scans/{scan_id}/findings", params={"after": after}).json()
        items += page["items"]
        after = page["next_after"]
    return items


def test_scan_finds_a_planted_sentence_anywhere(user):
    chance = random.Random(7)
    filler = ["The report lists the rooms and their colours.", "Chapter two describes the harbour."]
    for _ in range(3):
        sentences = chance.choices(filler, k=400)
        sentences.insert(chance.randrange(401), FLOW_TEXT + ".")
        contexts = [i["context"] for i in user.scan(" ".join(sentences)).json()["data"]]
        assert contexts.count(FLOW_TEXT + ".") == 2


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["file", "text"]),
        ({"text": 5}, ["text"]),
        ({"text": "   "}, ["text"]),
        ({"text": "x", "force_llm": "maybe", "colour": 1}, ["colour", "force_llm"]),
        ({"force_llm": "maybe"}, ["file", "force_llm", "text"]),
        (
            {"text": 5, "force_llm": True, "sensitivity": "odd"},
            ["force_llm", "sensitivity", "sensitivity", "text"],
        ),
        ([], ["body"]),
    ],
)
def test_scan_with_faulty_json_lists_all_faults(user, body, fields):
    answer = user.http.post("/api/scan", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert sorted(e["field"] for e in answer.json()["errors"]) == fields


def test_scan_with_file_and_text_is_rejected(user):
    answer = user.http.post("/api/scan", data={"text": "x"}, files={"file": ("a.txt", b"y")})
    assert [e["field"] for e in answer.json()["errors"]] == ["file", "text"]


def test_scan_with_faults_lists_those_across_fields_too(user):
    form = {"text": "x", "force_llm": "maybe"}
    answer = user.http.post("/api/scan", data=form, files={"file": ("a.txt", b"y")})
    faults = {e["field"]: e["message"] for e in answer.json()["errors"]}
    assert sorted(faults) == ["file", "force_llm", "text"]
    assert all(word in faults["force_llm"] for word in ("true", "false", "on", "off", "yes", "no"))


@pytest.mark.parametrize("blank", ["", " \r\n"])
def test_scan_form_with_file_and_empty_text_reads_the_file(user, blank):
    file = {"file": ("plan.txt", FLOW_TEXT.encode())}
    answer = user.http.post("/api/scan", data={"text": blank}, files=file)
    assert (answer.status_code, len(answer.json()["data"])) == (201, 2)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("..\\..\\x.txt", "x.txt"),
        ("C:\\dir\\x.txt", "x.txt"),
        ("../x.txt", "x.txt"),
        ('a\\"b.txt', 'a"b.txt'),
        ("..", None),
    ],
)
def test_scan_stores_the_last_part_of_the_file_name(user, sent, stored):
    part = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{sent}"\r\n'
    body = f"{part}Content-Type: text/plain\r\n\r\n{FLOW_TEXT}\r\n--b--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    scan_id = user.http.post("/api/scan", content=body, headers=kind).json()["scan_id"]
    assert user.http.get(f"/api/scans/{scan_id}").json()["filename"] == stored


def test_scan_form_with_text_twice_is_rejected(user):
    answer = user.http.post("/api/scan", data={"text": ["one", "two"]})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "text")


def test_scan_form_without_chosen_file_reads_the_text(user):
    parts = {"file": ("", b"", "application/octet-stream"), "text": (None, FLOW_TEXT)}
    assert user.http.post("/api/scan", files=parts).status_code == 201


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"--b--\r\n", "no parts"), (b"--b\r\nTrue--b--\r\n", "not a complete multipart form")],
)
def test_multipart_body_without_parts_is_rejected(user, content, fault):
    key = user.http.post("/api/v1/auth/keys", json={"name": "k", "scopes": ["scan"]}).json()["id"]
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    path = f"/api/v1/auth/keys/{key}/rotation"
    answer = user.http.post(path, content=content, headers=kind)
    assert (answer.status_code, fault in answer.text) == (400, True)


def test_scan_json_with_key_twice_is_rejected(user):
    body = '{"text": "The first text.", "text": "The second text."}'
    answer = user.http.post("/api/scan", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "text")


def test_root_scan_without_token_is_rejected_before_reading_the_document(client):
    assert client.post("/scan", content=b"{").status_code == 401
    expired = client.post("/scan", content=b"{", headers={"Authorization": "Bearer nonsense"})
    assert "not valid" in expired.json()["detail"]


def test_scan_with_xml_body_is_415_naming_the_supported_types(user):
    answer = user.http.post("/api/scan", content=b"<x/>", headers={"Content-Type": "text/xml"})
    assert answer.status_code == 415
    assert "multipart/form-data" in answer.json()["detail"]


def test_scan_of_unsupported_file_type_is_415_naming_the_supported_ones(user):
    answer = user.http.post("/api/scan", files={"file": ("table.xyz", b"words")})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    for name in ("txt", "md", "csv", "html", "pdf", "docx", "xlsx", "pptx", "eml", "zip"):
        assert name in answer.json()["detail"]


def test_scan_of_text_beyond_the_limit_is_413_naming_the_setting(start_service):
    live = start_service(MAX_TEXT_CHARS="600000", AI_SERVICE_OPEN="true")
    text = "\u00e9" + " " * 599_999
    for body in ("data", "json"):
        fits = HTTP.post(f"{live.url}/scan", **{body: {"text": text}})
        beyond = HTTP.post(f"{live.url}/scan", **{body: {"text": text + " "}})
        assert (fits.status_code, beyond.status_code) == (200, 413)
        assert "MAX_TEXT_CHARS" in beyond.json()["detail"]


@pytest.mark.parametrize(
    "text",
    [
        "nul \x00 inside. It may fail.",
        "\ud800 lone. It may fail.",
        "\u202e\u202dmarks\u200f. It may fail.",
        "a" * 1_000_000,
        "\u0000",
        "\U0001f600" * 1000,
        "." * 5000,
        "\n" * 5000 + "It may fail.",
    ],
    ids=["nul", "surrogate", "marks", "no-space", "only-nul", "emoji", "dots", "newlines"],
)
def test_scan_of_strange_text_is_stored(user, text):
    # json.dumps writes the lone surrogate as an escape; httpx itself could not encode it.
    answer = user.http.post(
        "/api/scan",
        content=json.dumps({"text": text}),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 201, answer.text
    stored = user.http.get(f"/api/scans/{answer.json()['scan_id']}").json()
    assert stored["coverage"]["characters"] == len(text)


HOSTILE = {
    "damaged": (documents.damaged_pdf, "x.pdf", 400),
    "encrypted": (documents.encrypted_pdf, "x.pdf", 400),
    "empty": (lambda: b"", "x.pdf", 400),
    "bomb": (documents.zip_bomb_docx, "x.docx", 413),
    "pages": (lambda: documents.pdf_with_n_pages(10_000), "x.pdf", 413),
    "entities": (documents.billion_laughs_docx, "x.docx", 400),
}


@pytest.mark.parametrize(("make", "name", "status"), HOSTILE.values(), ids=HOSTILE)
def test_scan_of_hostile_file_is_rejected_and_the_service_continues(user, make, name, status):
    answer = user.http.post("/api/scan", files={"file": (name, make())})
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert user.scan().status_code == 201


def test_scan_with_force_llm_and_no_llm_is_501_naming_the_setting(user):
    answer = user.http.post("/api/scan", json={"text": FLOW_TEXT, "force_llm": True})
    assert (answer.status_code, answer.json()["code"]) == (501, "not_configured")
    assert "LLM_BASE_URL" in answer.json()["detail"]
    assert "Retry-After" not in answer.headers
