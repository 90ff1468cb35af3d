"""Work sessions and their files over HTTP: upload, list, download in ranges, delete, and quota."""

import pytest

from tests.api.filing import PDF, SHA256, add, content, new_session, paths


@pytest.fixture
def session(user):
    return new_session(user)


@pytest.mark.every_database
def test_session_is_created_read_renamed_and_deleted(user):
    session = new_session(user, "Angebot ü 2026")
    assert user.http.get(session).json() | {"id": 0, "created_at": 0} == {
        "id": 0,
        "user_id": user.id,
        "name": "Angebot ü 2026",
        "created_at": 0,
        "n_files": 0,
        "size_bytes": 0,
    }
    assert user.http.put(session, json={"name": "New"}).json()["name"] == "New"
    assert user.http.delete(session).status_code == 204
    assert user.http.get(session).status_code == 404


@pytest.mark.every_database
def test_sessions_are_listed_newest_first_page_by_page(user):
    names = [f"s{n}" for n in range(5)]
    for name in names:
        new_session(user, name)
    listed, url = [], "/api/v1/sessions?per_page=2"
    while url:
        page = user.http.get(url)
        listed += [item["name"] for item in page.json()["items"]]
        url = page.links.get("next", {}).get("url")
    assert listed == names[::-1]


@pytest.mark.parametrize("name", ["", "x" * 256, 5, None])
def test_session_with_an_invalid_name_is_400(user, name):
    response = user.http.post("/api/v1/sessions", json={"name": name})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "name")


def test_number_of_sessions_is_limited(start_service, make_user):
    user = make_user(start_service(MAX_SESSIONS="2"))
    sessions = [new_session(user) for _ in range(2)]
    refused = user.http.post("/api/v1/sessions", json={"name": "third"})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert "You have 2 sessions, the limit (MAX_SESSIONS)" in refused.json()["detail"]
    user.http.delete(sessions[0]).raise_for_status()
    assert new_session(user)


@pytest.mark.every_database
def test_upload_returns_its_metadata_and_is_listed(user, session):
    response = add(user, session)
    file = response.json()
    assert response.status_code == 201
    assert user.http.get(response.headers["Location"]).json() == file
    assert user.http.get(f"{session}/files").json()["items"] == [file]
    assert file | {"id": 0, "created_at": 0} == {
        "id": 0,
        "session_id": session.rsplit("/", 1)[1],
        "name": "offer.pdf",
        "media_type": "application/pdf",
        "size_bytes": len(PDF),
        "sha256": SHA256,
        "pages": None,
        "created_at": 0,
    }
    assert user.http.get(session).json()["size_bytes"] == len(PDF)


def test_download_returns_the_bytes_with_safe_headers(user, session):
    response = content(user, add(user, session))
    assert (response.status_code, response.content) == (200, PDF)
    expected = {
        "etag": f'"{SHA256}"',
        "accept-ranges": "bytes",
        "content-type": "application/pdf",
        "content-length": str(len(PDF)),
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "cache-control": "private, no-cache",
        "content-disposition": "attachment; filename=\"offer.pdf\"; filename*=UTF-8''offer.pdf",
    }
    assert {name: response.headers.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [("0-0", 0, 1), ("10-99999", 10, 100_000), ("204800-", 204_800, None), ("-7", -7, None)],
)
def test_range_returns_206_with_that_part(user, session, wanted, start, end):
    response = content(user, add(user, session), Range=f"bytes={wanted}")
    part = PDF[start:end]
    first = range(len(PDF))[start]
    assert (response.status_code, response.content) == (206, part)
    assert response.headers["Content-Range"] == f"bytes {first}-{first + len(part) - 1}/{len(PDF)}"


def test_range_behind_the_end_is_416_with_the_size(user, session):
    response = content(user, add(user, session), Range=f"bytes={len(PDF)}-")
    assert (response.status_code, response.json()["code"]) == (416, "range_not_satisfiable")
    assert response.headers["Content-Range"] == f"bytes */{len(PDF)}"


@pytest.mark.parametrize(
    "wanted", ["bytes=5-2", "bytes=0-1,5-6", "bytes=0-9,5-9,-1", "bytes=-0", "lines=1-2", "bytes=x"]
)
def test_range_that_is_malformed_or_of_several_parts_is_ignored(user, session, wanted):
    response = content(user, add(user, session), Range=wanted)
    assert (response.status_code, len(response.content)) == (200, len(PDF))


def test_range_of_a_head_request_is_ignored(user, session):
    url = f"{add(user, session).headers['Location']}/content"
    head = user.http.head(url, headers={"Range": "bytes=0-9"})
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(PDF)))


def test_range_of_an_older_version_returns_the_whole_file(user, session):
    headers = {"Range": "bytes=0-9", "If-Range": '"0"'}
    assert content(user, add(user, session), **headers).status_code == 200


def test_download_of_a_known_file_is_304_and_head_has_no_body(user, session):
    added = add(user, session)
    known = content(user, added, **{"If-None-Match": f'"{SHA256}"'})
    head = user.http.head(f"{added.headers['Location']}/content")
    assert (known.status_code, known.content) == (304, b"")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(PDF))


@pytest.mark.every_database
def test_same_bytes_are_stored_once_until_the_last_file_is_deleted(live, user, session):
    first, second = add(user, session), add(user, new_session(user), "copy.pdf")
    assert [path.name for path in paths(live, user)] == [SHA256]
    assert user.http.delete(first.headers["Location"]).status_code == 204
    assert content(user, second).content == PDF
    assert user.http.delete(second.headers["Location"]).status_code == 204
    assert paths(live, user) == []


@pytest.mark.every_database
def test_deleted_session_takes_its_files_but_not_those_of_others(live, user, session):
    other = new_session(user)
    kept = add(user, other)
    gone = [add(user, session), add(user, session, "note.txt", b"note", "text/plain")]
    assert user.http.delete(session).status_code == 204
    assert [content(user, response).status_code for response in gone] == [404, 404]
    assert content(user, kept).content == PDF
    assert [path.name for path in paths(live, user)] == [SHA256]


def test_other_users_cannot_see_change_or_delete(user, session, new_user):
    other, file = new_user(), add(user, session).headers["Location"]
    calls = [
        ("GET", session),
        ("PUT", session),
        ("DELETE", session),
        ("GET", f"{session}/files"),
        ("GET", file),
        ("GET", f"{file}/content"),
        ("DELETE", file),
    ]
    statuses = [other.http.request(m, url, json={"name": "x"}).status_code for m, url in calls]
    assert statuses == [404] * len(calls)
    assert add(other, session).status_code == 404
    assert user.http.get(f"{file}/content").content == PDF


def test_file_is_not_found_in_another_session_of_the_same_user(user, session):
    other, file = new_session(user), add(user, session).json()["id"]
    assert user.http.get(f"{other}/files/{file}").status_code == 404


def test_empty_file_is_stored_and_downloaded(user, session):
    added = add(user, session, "empty.txt", b"", "text/plain")
    assert (added.status_code, added.json()["size_bytes"]) == (201, 0)
    assert content(user, added).content == b""
    assert content(user, added, Range="bytes=0-").status_code == 416


def test_quota_answers_413_with_what_is_used_and_frees_with_a_deletion(start_service, make_user):
    live = start_service(USER_QUOTA_BYTES="250000")
    user = make_user(live)
    session = new_session(user)
    first = add(user, session)
    assert add(user, session, "same.pdf").status_code == 201  # the same bytes use nothing
    refused = add(user, session, "more.bin", b"x" * 50_000)
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
    for part in (f"{len(PDF):,} of 250,000 bytes", "USER_QUOTA_BYTES", "50,000"):
        assert part in refused.json()["detail"]
    assert len(paths(live, user)) == 1
    user.http.delete(session)
    assert add(user, new_session(user), "more.bin", b"x" * 50_000).status_code == 201
    assert first.status_code == 201


def test_file_over_its_limit_is_413_and_leaves_nothing(start_service, make_user):
    live = start_service(MAX_UPLOAD_BYTES="100000", MAX_FILE_BYTES="50000", MAX_TEXT_CHARS="1000")
    user = make_user(live)
    session = new_session(user)
    assert add(user, session, data=b"x" * 100_000).status_code == 201
    for size in (100_001, 300_000):
        refused = add(user, session, data=b"y" * size)
        assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
        assert "MAX_UPLOAD_BYTES" in refused.json()["detail"]
    assert len(paths(live, user)) == 1
