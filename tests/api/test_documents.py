"""Stored documents: what a scan keeps, read by page and by range, listed, deleted."""

import hashlib

import pytest

from tests.api.reviewing import judge
from tests.support import documents, office_files
from tests.support.sentences import FLOW_TEXT

pytestmark = pytest.mark.every_database

LONG = f"All is well here.\n{FLOW_TEXT}.\n" * 5_000


def scanned(user, text=FLOW_TEXT, **rest):
    """Scan a text, and return the path of its document."""
    return document_of(user, user.scan(text, **rest).raise_for_status().json()["scan_id"])


def scanned_file(user, name, data):
    answer = user.http.post("/api/v1/scan", files={"file": (name, data)}).raise_for_status()
    return document_of(user, answer.json()["scan_id"])


def document_of(user, scan_id):
    scan = user.http.get(f"/api/v1/scans/{scan_id}").raise_for_status().json()
    return f"/api/v1/documents/{scan['document_id']}"


def get(user, path, **query):
    return user.http.get(path, params=query).raise_for_status().json()


def whole_text(user, document):
    """Read a text range after range, each from the end of the one before."""
    n, parts, at = get(user, document)["n_characters"], [], 0
    while at < n:
        answer = get(user, f"{document}/text", start=at)
        assert answer["start"] == at
        parts.append(answer["text"])
        at = answer["end"]
    return "".join(parts)


def test_document_of_a_text_has_its_text_and_its_figures(user):
    document = get(user, path := scanned(user))
    assert document["sha256"] == hashlib.sha256(FLOW_TEXT.encode()).hexdigest()
    assert (document["name"], document["media_type"]) == (None, "text/plain")
    assert document["size_bytes"] == document["n_characters"] == len(FLOW_TEXT)
    assert (document["text_stored"], document["text_reason"]) == ("full", None)
    assert (document["n_pages"], document["user_id"]) == (None, user.id)
    assert get(user, f"{path}/text")["text"] == FLOW_TEXT


def test_document_lists_its_scans_newest_first(user):
    path = scanned(user)
    assert scanned(user) == path
    scans = get(user, path)["scans"]
    ids = [scan["scan_id"] for scan in get(user, "/api/v1/scans")["items"]]
    assert [scan["id"] for scan in scans] == ids
    assert {(scan["sensitivity"], scan["n_findings"]) for scan in scans} == {("balanced", 2)}
    assert scans[0]["model"].startswith("riskscan-fast/")


def test_document_of_the_same_bytes_is_stored_once_per_user(user, new_user):
    first, other = scanned_file(user, "a.txt", b"A tight budget."), new_user()
    assert scanned_file(user, "b.txt", b"A tight budget.") == first
    assert scanned_file(other, "a.txt", b"A tight budget.") != first
    [listed] = get(user, "/api/v1/documents")["items"]
    assert (listed["name"], listed["n_scans"]) == ("a.txt", 2)


def test_document_of_the_same_bytes_read_as_another_format_is_another(user):
    page = b"<p>A tight budget.</p>"
    html, plain = scanned_file(user, "a.html", page), scanned_file(user, "a.txt", page)
    assert html != plain
    assert get(user, html)["sha256"] == get(user, plain)["sha256"]


def test_text_of_a_pdf_is_read_page_by_page(user):
    path = scanned_file(user, "book.pdf", documents.long_pdf(3, (1, 3)))
    document = get(user, path)
    assert (document["n_pages"], document["media_type"]) == (3, "application/pdf")
    assert [page["page"] for page in document["pages"]] == [1, 2, 3]
    text = whole_text(user, path)
    for page in document["pages"]:
        answer = get(user, f"{path}/text", page=page["page"])
        assert answer == {
            "start": page["start"],
            "end": page["end"],
            "text": text[page["start"] : page["end"]],
            "page": page["page"],
            "part": None,
        }


def test_findings_of_a_stored_document_are_where_its_text_has_them(user):
    path = scanned_file(user, "book.pdf", documents.long_pdf(3, (1, 3)))
    text, [scan] = whole_text(user, path), get(user, path)["scans"]
    findings = get(user, f"/api/v1/scans/{scan['id']}/findings")["items"]
    assert findings
    assert all(text[f["start"] : f["end"]] == f["context"] for f in findings)


@pytest.mark.system
def test_long_text_is_read_in_ranges_and_listed_in_pieces(user):
    path = scanned(user, LONG)
    assert whole_text(user, path) == LONG
    pieces = get(user, path)["pages"]
    assert {piece["page"] for piece in pieces} == {None}
    assert all(piece["end"] - piece["start"] <= 50_000 for piece in pieces)
    assert [p["end"] for p in pieces[:-1]] == [p["start"] for p in pieces[1:]]
    answer = get(user, f"{path}/text", start=49_990, end=50_050)
    assert (answer["text"], answer["page"]) == (LONG[49_990:50_050], None)
    assert get(user, f"{path}/text")["end"] == 200_000


def test_range_of_a_text_counts_code_points(user):
    path = scanned(user, text := "Ein \U0001f525 knappes Budget: das Geld reicht nicht.")
    assert get(user, f"{path}/text", start=4, end=5)["text"] == text[4:5]
    assert get(user, f"{path}/text", start=6, end=9_999)["text"] == text[6:]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"page": 1}, "page"),
        ({"page": 1, "start": 0}, "page"),
        ({"part": "Register"}, "part"),
        ({"start": 5, "end": 5}, "end"),
        ({"start": 9_999}, "start"),
        ({"limit": 1}, "limit"),
    ],
)
def test_text_outside_the_document_is_an_invalid_request(user, query, field):
    answer = user.http.get(f"{scanned(user)}/text", params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert field in [error["field"] for error in answer.json()["errors"]]


def test_pages_of_a_presentation_in_an_archive_are_found_by_part(user):
    path = scanned_file(user, "all.zip", office_files.archive_of_all())
    text, pages = whole_text(user, path), get(user, path)["pages"]
    numbered = [page for page in pages if page["page"]]
    assert len({page["part"] for page in pages}) > 3
    assert numbered
    for page in numbered:
        answer = get(user, f"{path}/text", page=page["page"], part=page["part"])
        assert answer == {**page, "text": text[page["start"] : page["end"]]}
    answer = user.http.get(f"{path}/text", params={"page": 1, "part": "elsewhere"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_page_beyond_the_last_is_an_invalid_request(user):
    path = scanned_file(user, "book.pdf", documents.long_pdf(2, (1,)))
    answer = user.http.get(f"{path}/text", params={"page": 3})
    assert (answer.status_code, "2 pages" in answer.json()["detail"]) == (400, True)


def test_documents_are_listed_newest_first_by_cursor(user):
    paths = [scanned(user, f"A tight budget of {n}.") for n in range(5)]
    answer = get(user, "/api/v1/documents", per_page=3)
    second = get(user, "/api/v1/documents", per_page=3, cursor=answer["next_cursor"])
    items = [*answer["items"], *second["items"]]
    assert [f"/api/v1/documents/{item['id']}" for item in items] == paths[::-1]
    assert (second["next_cursor"], "pages" in items[0]) == (None, False)


def test_documents_of_others_are_listed_for_reviewers_only(user, new_user, reviewer):
    path = scanned(user)
    for account, expected in ((new_user(), False), (reviewer, True)):
        listed = get(account, "/api/v1/documents", scope="reviewable")["items"]
        assert (path.rsplit("/")[-1] in [item["id"] for item in listed]) is expected
        assert get(account, "/api/v1/documents")["items"] == []


def test_deleting_a_document_deletes_its_scans_findings_and_feedback(user):
    path, other = scanned(user), scanned(user, "A tight budget.")
    [scan] = get(user, path)["scans"]
    judge(user, f"/api/v1/scans/{scan['id']}", 1).raise_for_status()
    assert user.http.delete(path).status_code == 204
    gone = (path, f"{path}/text", f"/api/v1/scans/{scan['id']}")
    assert [user.http.get(url).status_code for url in gone] == [404] * 3
    assert user.http.delete(path).status_code == 404
    assert [f"/api/v1/documents/{d['id']}" for d in get(user, "/api/v1/documents")["items"]] == [
        other
    ]


def test_document_lives_as_long_as_one_of_its_scans(user):
    path = scanned(user)
    scanned(user)
    newer, older = get(user, path)["scans"]
    assert user.http.delete(f"/api/v1/scans/{newer['id']}").status_code == 204
    assert get(user, path)["n_scans"] == 1
    assert user.http.delete(f"/api/v1/scans/{older['id']}").status_code == 204
    assert user.http.get(path).status_code == 404
    assert scanned(user) == path
    assert get(user, f"{path}/text")["text"] == FLOW_TEXT


@pytest.mark.system
def test_document_with_its_etag_is_not_sent_again(user):
    path = scanned(user)
    for url in (path, f"{path}/text"):
        etag = user.http.get(url).headers["ETag"]
        assert user.http.get(url, headers={"If-None-Match": etag}).status_code == 304
