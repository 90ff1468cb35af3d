"""The original bytes of uploads: stored if the user says so, downloaded, deleted with their document."""

import hashlib

import pytest

from tests.api.filing import PDF
from tests.api.test_documents import get, scanned, scanned_file
from tests.api.test_scan_again import scan_again
from tests.support import documents

pytestmark = pytest.mark.every_database
PAGE = b"<p onclick=alert(1)>A tight budget.</p>"


@pytest.fixture
def keeper(user):
    """A user whose settings keep originals."""
    keep(user)
    return user


def keep(user, **more):
    settings = {"store_original": True, **more}
    return user.http.put("/api/v1/settings", json=settings).raise_for_status().json()


def folder(live, user):
    return live.services.config.data_dir / "originals" / user.id.replace("-", "")


def on_disk(live, user):
    return sorted(path.name for path in folder(live, user).glob("??/*"))


def original(user, document, **headers):
    return user.http.get(f"{document}/original", headers=headers)


def test_original_is_kept_only_if_the_settings_say_so(live, user):
    path = scanned_file(user, "page.html", PAGE)
    assert get(user, path)["original_stored"] is False
    answer = original(user, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "store_original" in answer.json()["detail"]
    assert not folder(live, user).exists()
    assert keep(user)["store_original"] is True
    assert scanned_file(user, "page.html", PAGE) == path
    assert get(user, path)["original_stored"] is True
    assert original(user, path).content == PAGE


def test_original_is_sent_as_an_attachment_that_no_browser_shows(keeper):
    path = scanned_file(keeper, "Plän.html", PAGE)
    answer = original(keeper, path)
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="Pl_n.html"')
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["ETag"] == f'"{hashlib.sha256(PAGE).hexdigest()}"'


def test_original_is_sent_in_ranges(keeper):
    data = documents.long_pdf(2, (1,))
    path = scanned_file(keeper, "book.pdf", data)
    part = original(keeper, path, Range="bytes=10-29")
    assert (part.status_code, part.content) == (206, data[10:30])
    assert part.headers["Content-Range"] == f"bytes 10-29/{len(data)}"
    assert original(keeper, path, Range=f"bytes={len(data)}-").status_code == 416
    etag = part.headers["ETag"]
    assert original(keeper, path, **{"If-None-Match": etag}).status_code == 304


def test_original_of_a_text_is_not_stored(live, keeper):
    path = scanned(keeper)
    assert get(keeper, path)["original_stored"] is False
    assert original(keeper, path).status_code == 404
    assert on_disk(live, keeper) == []


def test_original_is_not_stored_where_the_text_is_not(live, keeper):
    keep(keeper, store_text="hash")
    path = scanned_file(keeper, "page.html", PAGE)
    assert get(keeper, path)["original_stored"] is False
    assert on_disk(live, keeper) == []


def test_original_of_the_same_bytes_is_stored_once_until_the_last_document_is_deleted(live, keeper):
    html, plain = (scanned_file(keeper, name, PAGE) for name in ("a.html", "a.txt"))
    assert (html != plain, len(on_disk(live, keeper))) == (True, 1)
    keeper.http.delete(html).raise_for_status()
    assert original(keeper, plain).content == PAGE
    keeper.http.delete(plain).raise_for_status()
    assert on_disk(live, keeper) == []


def test_original_is_deleted_with_the_last_scan_of_its_document(live, keeper):
    path = scanned_file(keeper, "page.html", PAGE)
    scan_again(keeper, path).raise_for_status()
    newer, older = get(keeper, path)["scans"]
    keeper.http.delete(f"/api/v1/scans/{newer['id']}").raise_for_status()
    assert original(keeper, path).content == PAGE
    keeper.http.delete(f"/api/v1/scans/{older['id']}").raise_for_status()
    assert on_disk(live, keeper) == []


def test_originals_of_all_versions_are_deleted_together(live, keeper):
    path = scanned_file(keeper, "page.html", PAGE)
    form, edited = {"document": path.rsplit("/", 1)[-1]}, {"file": ("page.html", PAGE + b" ")}
    keeper.http.post("/api/v1/scan", data=form, files=edited).raise_for_status()
    assert len(on_disk(live, keeper)) == 2
    keeper.http.delete(path, params={"versions": "all"}).raise_for_status()
    assert on_disk(live, keeper) == []


def test_original_of_another_user_is_for_reviewers_only(keeper, new_user, reviewer):
    path = scanned_file(keeper, "page.html", PAGE)
    assert original(new_user(), path).status_code == 404
    assert original(reviewer, path).content == PAGE


def test_original_beyond_the_quota_is_refused_and_nothing_is_stored(start_service, make_user):
    service = start_service(USER_QUOTA_BYTES="60")
    user = make_user(service)
    keep(user)
    first = scanned_file(user, "page.html", PAGE)
    answer = user.http.post("/api/v1/scan", files={"file": ("b.txt", PAGE + b"...")})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "store_original" in answer.json()["detail"]
    assert len(get(user, "/api/v1/documents")["items"]) == len(on_disk(service, user)) == 1
    scanned_file(user, "c.html", PAGE)  # the same bytes count once
    session = user.http.post("/api/v1/sessions", json={"name": "s"}).json()["id"]
    upload = user.http.post(f"/api/v1/sessions/{session}/files", files={"file": ("d.pdf", PDF)})
    assert (upload.status_code, original(user, first).content) == (413, PAGE)


def test_original_of_a_file_in_a_session_outlives_the_session(keeper):
    session = keeper.http.post("/api/v1/sessions", json={"name": "s"}).json()["id"]
    files = {"file": ("page.html", PAGE)}
    keeper.http.post("/api/v1/scan", data={"session": session}, files=files).raise_for_status()
    [document] = get(keeper, "/api/v1/documents")["items"]
    keeper.http.delete(f"/api/v1/sessions/{session}").raise_for_status()
    assert original(keeper, f"/api/v1/documents/{document['id']}").content == PAGE


def test_original_that_is_lost_is_a_503_until_it_is_scanned_again(live, keeper):
    path = scanned_file(keeper, "page.html", PAGE)
    [stored] = folder(live, keeper).glob("??/*")
    stored.unlink()
    answer = original(keeper, path)
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    scanned_file(keeper, "page.html", PAGE)
    assert original(keeper, path).content == PAGE
