"""A document of each format, scanned over HTTP: right findings in the right part, page and column."""

import base64
import io
import zipfile
from email.message import EmailMessage

import pytest

from tests.support import documents, office_files
from tests.support.office_files import BUDGET, SUPPLIER


def scanned(user, name, data):
    """Scan a file; return the stored scan and its findings as (sentence, part, page, heading)."""
    answer = user.http.post("/api/scan", files={"file": (name, data)})
    assert answer.status_code == 201, answer.text
    scan = user.http.get(f"/api/v1/scans/{answer.json()['scan_id']}").json()
    listed = user.http.get(f"/api/v1/scans/{scan['scan_id']}/findings").json()["items"]
    assert all(set(item) == {"risk", "category", "context"} for item in scan["data"])
    places = {(f["context"].rstrip("."), f["part"], f["page"], f["heading"]) for f in listed}
    return scan, places


def at(part=None, page=None, heading=None, sentence=BUDGET):
    return (sentence.rstrip("."), part, page, heading)


def test_scan_of_a_workbook_names_sheet_and_column(user):
    scan, places = scanned(user, "risks.xlsx", office_files.workbook())
    assert places == {
        at("Register", heading="Description"),
        at("Register", sentence=SUPPLIER),
        at("Notes"),
    }
    assert [part["name"] for part in scan["coverage"]["parts"]] == ["Register", "Notes"]


def test_scan_of_a_presentation_names_the_slide(user):
    scan, places = scanned(user, "a.pptx", office_files.presentation())
    assert places == {
        at("Slide 2"),
        at("Slide 2", sentence=SUPPLIER),
        at("Slide 3", heading="Topic"),
    }
    assert len(scan["coverage"]["parts"]) == 3


def test_scan_of_an_email_reads_the_body_and_each_attachment(user):
    scan, places = scanned(user, "a.eml", office_files.email())
    assert places == {
        at(),
        at("risks.xlsx > Register", heading="Description"),
        at("risks.xlsx > Register", sentence=SUPPLIER),
        at("risks.xlsx > Notes"),
        at("report.pdf", 2, sentence=SUPPLIER),
    }
    parts = {part["name"]: part for part in scan["coverage"]["parts"]}
    assert (parts["report.pdf"]["pages"], scan["coverage"]["pages"]) == (2, 2)
    assert "not supported" in parts["logo.png"]["problem"]
    assert [warning["code"] for warning in scan["warnings"]] == ["parts_not_read"]


def test_scan_of_an_archive_reads_every_format_and_reports_the_rest(user):
    scan, places = scanned(user, "all.zip", office_files.archive_of_all())
    assert places >= {
        at("notes/a.txt"),
        at("notes/a.csv", heading="risk"),
        at("a.html"),
        at("a.docx"),
        at("a.pdf", 2),
        at("slides.pptx > Slide 3", heading="Topic"),
        at("mails/a.eml"),
        at("mails/a.eml > risks.xlsx > Notes"),
        at("mails/a.eml > report.pdf", 2, sentence=SUPPLIER),
    }
    unread = {p["name"]: p["problem"] for p in scan["coverage"]["parts"] if p["problem"]}
    assert set(unread) == {"picture.bin", "damaged.docx", "mails/a.eml > logo.png"}
    assert "damaged" in unread["damaged.docx"]


@pytest.mark.parametrize("name", ["a.docx", "a", "a.bin", "a.txt"])
def test_scan_of_a_workbook_with_another_name_reads_the_workbook(user, name):
    _, places = scanned(user, name, office_files.workbook())
    assert at("Register", heading="Description") in places


def test_scan_of_a_csv_names_the_column(user):
    _, places = scanned(user, "a.csv", f"id;risk\n1;{BUDGET}\n".encode())
    assert places == {at(heading="risk")}


def test_scan_of_an_archive_without_a_readable_file_says_why(user):
    data = office_files.archive(("a.bin", b"\0\1"), ("b.docx", documents.encrypted_docx()))
    answer = user.http.post("/api/scan", files={"file": ("a.zip", data)})
    assert answer.status_code == 400
    assert "No file in it can be read (2 tried)" in answer.json()["detail"]


def test_scan_of_an_archive_with_hostile_paths_shows_harmless_names(user):
    hostile = ["../../etc/passwd.txt", "/abs.txt", "C:\\x\\..\\y.txt", "a\u202e\n\x1b[31mb.txt"]
    data = office_files.archive(*((name, f"{BUDGET}.".encode()) for name in hostile))
    scan, _ = scanned(user, "a.zip", data)
    names = [part["name"] for part in scan["coverage"]["parts"]]
    assert names == ["etc/passwd.txt", "abs.txt", "x/y.txt", "a [31mb.txt"]


def test_scan_of_an_archive_reads_on_after_a_file_that_asks_for_all_memory(user):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.txt", SUPPLIER * 100)
        archive.writestr("b.txt", SUPPLIER)
    data = bytearray(packed.getvalue())
    dictionary = data.find(b"a.txt") + len("a.txt") + 5  # behind versions, sizes and properties
    data[dictionary : dictionary + 4] = b"\xff" * 4
    scan, _ = scanned(user, "parts.zip", bytes(data))
    problems = {part["name"]: part["problem"] for part in scan["coverage"]["parts"]}
    assert problems == {
        "a.txt": "It needs too much memory to inflate. Pack it again.",
        "b.txt": None,
    }


def test_scan_of_an_email_with_thousands_of_open_elements_reads_its_plain_text(user):
    message = EmailMessage()
    message.set_content(SUPPLIER)
    message.add_alternative("<style" * 300_000 + "<" * 300_000, subtype="html")
    _, places = scanned(user, "style.eml", message.as_bytes())
    assert at(sentence=SUPPLIER) in places


def test_scan_of_an_email_with_an_encoded_message_reads_that_message(user):
    inner = f"Subject: Inner\n\n{SUPPLIER}\n".encode()
    data = b"""\xef\xbb\xbfFrom: a@b\nSubject: Words\nscanned by the gateway
Content-Type: multipart/mixed; boundary=b\n\n--b
Content-Type: message/rfc822\nContent-Transfer-Encoding: base64 \n\n"""
    data += base64.encodebytes(inner) + b"--b--\n"
    scan, places = scanned(user, "a.eml", data)
    assert places == {at("Inner", sentence=SUPPLIER)}
    assert scan["warnings"] == []


@pytest.mark.parametrize("name", ["a.txt", "a.md"])
def test_scan_of_text_shows_the_word_behind_a_fence(user, name):
    text = f"~~~ summary\n{BUDGET}.\n"
    scan, places = scanned(user, name, text.encode())
    assert (scan["coverage"]["sentences"], places) == (2, {at()})


@pytest.mark.parametrize(
    ("name", "build", "part", "missing"),
    [
        ("a.xlsx", office_files.workbook, "xl/worksheets/sheet2.xml", "Notes"),
        ("a.pptx", office_files.presentation, "ppt/slides/slide2.xml", "Slide 2"),
    ],
)
def test_scan_names_a_sheet_or_slide_that_the_file_lacks(user, name, build, part, missing):
    scan, places = scanned(user, name, office_files.repacked(build(), {part: None}))
    assert places
    unread = {p["name"]: p["problem"] for p in scan["coverage"]["parts"] if p["problem"]}
    assert list(unread) == [missing]
    assert "lacks this" in unread[missing]
    assert [warning["code"] for warning in scan["warnings"]] == ["parts_not_read"]


def test_scan_of_a_page_in_utf8_that_declares_utf16_finds_its_risk(user):
    page = f'<meta charset="utf-16le"><p>{BUDGET}.</p>'
    _, places = scanned(user, "a.html", page.encode())
    assert places == {at()}


ALONE = ("risk.txt", f"{SUPPLIER}\n".encode())
OTHERS = [
    ("tests.txt", b"Nobody tested the pumps, and the tests are late.\n" * 6),
    ("all.zip", office_files.archive(("book.xlsx", office_files.workbook()))),
]


def findings_of(user, scan_id, part):
    """Return the findings of one part as (risk, sentence, score)."""
    listed = user.http.get(f"/api/v1/scans/{scan_id}/findings").json()["items"]
    return [(f["risk_type"], f["context"], f["score"]) for f in listed if f["part"] == part]


@pytest.mark.parametrize("members", [[ALONE, *OTHERS], [*OTHERS, ALONE], [OTHERS[0], ALONE]])
def test_findings_of_a_file_do_not_depend_on_the_files_around_it(user, members):
    scan, _ = scanned(user, "a.zip", office_files.archive(ALONE))
    expected = findings_of(user, scan["scan_id"], "risk.txt")
    scan, _ = scanned(user, "b.zip", office_files.archive(*members))
    assert [f[:2] for f in findings_of(user, scan["scan_id"], "risk.txt")] == [
        f[:2] for f in expected
    ]
    found = [score for *_, score in findings_of(user, scan["scan_id"], "risk.txt")]
    assert found == pytest.approx([score for *_, score in expected], abs=1e-6)


def test_stored_archive_is_scanned_again_file_by_file(user):
    scan, _ = scanned(user, "a.zip", office_files.archive(*OTHERS, ALONE))
    document = f"/api/v1/documents/{scan['document_id']}"
    again = user.http.post(f"{document}/scan", json={}).raise_for_status().json()["scan_id"]
    expected = findings_of(user, scan["scan_id"], "risk.txt")
    assert findings_of(user, again, "risk.txt") == expected


def test_scores_of_a_stored_archive_are_those_of_its_files(user):
    scan, _ = scanned(user, "a.zip", office_files.archive(*OTHERS, ALONE))
    document = f"/api/v1/documents/{scan['document_id']}"
    listed = user.http.get(f"/api/v1/scans/{scan['scan_id']}/findings").json()["items"]
    finding = next(f for f in listed if f["part"] == "risk.txt")
    span = {"start": finding["start"], "end": finding["end"]}
    [sentence] = user.http.get(f"{document}/scores", params=span).json()["sentences"]
    score = next(s for s in sentence["scores"] if s["risk_type"] == finding["risk_type"])
    assert score["score"] == pytest.approx(finding["score"], abs=1e-5)
    query = {**span, "risk_type": finding["risk_type"]}
    words = user.http.get(f"{document}/words", params=query).json()
    assert words["score"] == pytest.approx(finding["score"], abs=1e-5)
