"""What of a document was not read: named in headers, stored scans, lists and batches."""

import pytest

from tests.api.batching import items, sent, when
from tests.support import documents, office_files
from tests.support.sentences import FLOW_TEXT, GERMAN

HEADER = "X-Riskscan-Warning"
IN_PART = office_files.archive(
    ("broken.pdf", b"%PDF-1.7 nothing"),
    ("brief.txt", GERMAN.encode()),
    ("logo.png", b"\x89PNG\r\n\x1a\n"),
)


def pdf(*pages):
    return documents.pdf_of_pages([[page] if page else [] for page in pages])


@pytest.mark.parametrize("path", ["/scan", "/api/scan", "/api/v1/scan"])
def test_each_warning_has_a_header_of_its_own(user, path):
    answer = user.http.post(path, files={"file": ("all.zip", IN_PART)}).raise_for_status()
    parts, language = answer.headers.get_list(HEADER)
    assert parts.startswith("parts_not_read: 2 files in the document are not read")
    assert "broken.pdf: " in parts
    assert "logo.png: " in parts
    assert language.startswith("language_not_read: ")


def test_unread_files_beyond_the_fifth_are_counted(user):
    pictures = [(f"{n}.png", b"\x89PNG\r\n\x1a\n") for n in range(7)]
    data = office_files.archive(("a.txt", FLOW_TEXT.encode()), *pictures)
    answer = user.http.post("/api/scan", files={"file": ("all.zip", data)}).raise_for_status()
    [warning] = answer.headers.get_list(HEADER)
    assert "4.png: " in warning
    assert "5.png: " not in warning
    assert warning.endswith(" 2 more are not named here.")


def test_page_whose_content_is_damaged_is_named(user):
    damaged = documents.pdf_with_content(
        pdf(FLOW_TEXT), (b"no zlib, in any case" * 3, "/FlateDecode")
    )
    answer = user.http.post("/api/scan", files={"file": ("a.pdf", damaged)}).raise_for_status()
    [warning] = answer.headers.get_list(HEADER)
    assert warning.startswith("pages_not_read: No text on page 2: ")
    assert answer.json()["data"]


def test_page_without_text_is_named_with_the_remedy(user):
    answer = user.http.post("/api/scan", files={"file": ("a.pdf", pdf(FLOW_TEXT, "", FLOW_TEXT))})
    [warning] = answer.raise_for_status().headers.get_list(HEADER)
    assert warning.startswith("pages_not_read: No text on page 2: what is shown there is not read")
    assert "OCR=on" in warning


def test_pages_without_text_in_an_archive_are_named_with_their_file(user):
    data = office_files.archive(("a.pdf", pdf(FLOW_TEXT, "")), ("b.pdf", pdf(*[""] * 7, FLOW_TEXT)))
    answer = user.http.post("/api/scan", files={"file": ("a.zip", data)}).raise_for_status()
    [warning] = answer.headers.get_list(HEADER)
    assert "page 2 of a.pdf, page 1 of b.pdf, page 2 of b.pdf" in warning
    assert ", and 3 more: " in warning


def test_blank_page_is_no_warning(user):
    answer = user.http.post(
        "/api/scan", files={"file": ("a.pdf", documents.pdf_with_blank_page(FLOW_TEXT))}
    )
    assert HEADER not in answer.raise_for_status().headers
    scan = user.http.get(answer.headers["Location"]).json()
    assert (scan["coverage"]["pages"], scan["coverage"]["pages_without_text"]) == (2, [])


@pytest.mark.every_database
def test_lists_of_scans_and_of_a_batch_have_the_warnings(user):
    files = [("whole.pdf", pdf(FLOW_TEXT)), ("in-part.pdf", pdf(FLOW_TEXT, ""))]
    batch = sent(user, [("file", (name, data, "application/pdf")) for name, data in files])
    when(user, batch)
    found = {item["name"]: [w["code"] for w in item["warnings"]] for item in items(user, batch)}
    assert found == {"whole.pdf": [], "in-part.pdf": ["pages_not_read"]}
    assert [item["name"] for item in items(user, batch, warnings="true")] == ["in-part.pdf"]
    scans = user.http.get("/api/v1/scans").json()["items"]
    assert {s["filename"]: [w["code"] for w in s["warnings"]] for s in scans} == found


def test_report_names_each_unread_part_once(user):
    scan_id = user.http.post("/api/scan", files={"file": ("all.zip", IN_PART)}).json()["scan_id"]
    report = user.http.get(f"/api/v1/scans/{scan_id}/report?format=html").raise_for_status().text
    assert report.count("broken.pdf: ") == 1
