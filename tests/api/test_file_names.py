"""Names that clients send are metadata: none reaches the disk, and downloads carry a name that is safe."""

from urllib.parse import unquote

import pytest

from tests.api.filing import PDF, SHA256, add, content, new_session, paths

NAMES = {
    "../../../etc/passwd": "passwd",
    "..\\..\\windows\\system32\\cmd.exe": "cmd.exe",
    "/etc/cron.d/job": "job",
    "C:\\Users\\me\\offer.pdf": "offer.pdf",
    "....//....//x.txt": "x.txt",
    "%2e%2e%2fx.txt": "%2e%2e%2fx.txt",
    "CON": "CON",
    "nul.txt": "nul.txt",
    ".hidden": ".hidden",
    "-rf": "-rf",
    "name with  spaces .txt": "name with  spaces .txt",
    "Übergröße-договор-契約-🏗.pdf": "Übergröße-договор-契約-🏗.pdf",
    "e\u0301.txt": "e\u0301.txt",
    "gpj\u202efdp.exe": "gpjfdp.exe",
    "x" * 255: "x" * 255,
    "é" * 255: "é" * 255,
    "🏗" * 300 + ".pdf": "🏗" * 251 + ".pdf",
    "a.txt; rm -rf ~": "a.txt; rm -rf ~",
    "$(id)`id`": "$(id)`id`",
}
DEVICES = ("CON", "con.txt", "NUL", "Aux.pdf", "COM1", "lpt9.log", "COM¹", "CONOUT$")


@pytest.fixture
def session(user):
    return new_session(user)


def saved_name(response):
    return unquote(response.headers["Content-Disposition"].rpartition("UTF-8''")[2])


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:30])
def test_name_is_stored_without_its_folders_and_never_reaches_the_disk(live, user, session, name):
    added = add(user, session, name)
    assert (added.status_code, added.json()["name"]) == (201, NAMES[name])
    assert [str(path) for path in paths(live, user)] == [f"{SHA256[:2]}/{SHA256}"]
    download = content(user, added)
    assert download.content == PDF
    disposition, saved = download.headers["Content-Disposition"], saved_name(download)
    assert disposition.startswith('attachment; filename="')
    assert disposition.isascii()
    assert disposition.count('"') == 2
    assert 0 < len(saved.encode()) <= 201
    assert not set(saved) & set('<>:"/\\|?*')


@pytest.mark.parametrize("name", DEVICES)
def test_download_does_not_name_a_device(user, session, name):
    assert saved_name(content(user, add(user, session, name))) == f"_{name}"


def test_long_name_keeps_its_extension(user, session):
    saved = saved_name(content(user, add(user, session, "é" * 200 + ".pdf")))
    assert saved.endswith("é.pdf")


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/..", "\\"])
def test_name_that_is_empty_or_only_dots_is_400(live, user, session, name):
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    response = user.http.post(
        f"{session}/files",
        content=head.encode() + b"data\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "file")
    assert paths(live, user) == []


@pytest.mark.parametrize("media_type", ["x", "text/" + "a" * 200, "", "text/html; charset=<b>"])
def test_media_type_that_is_malformed_becomes_bytes(user, session, media_type):
    head = 'Content-Disposition: form-data; name="file"; filename="a.bin"'
    body = f"--b\r\n{head}\r\nContent-Type: {media_type}\r\n\r\nx\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = user.http.post(f"{session}/files", content=body.encode(), headers=headers)
    assert response.json()["media_type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "path", ["../../../riskscan.db", "%2e%2e%2f%2e%2e%2friskscan.db", "CON", SHA256, "incoming"]
)
def test_path_that_is_no_id_is_404(user, session, path):
    add(user, session)
    for url in (f"{session}/files/{path}", f"{session}/files/{path}/content"):
        assert user.http.get(url).status_code == 404


def test_link_in_place_of_the_bytes_is_not_followed(live, user, session):
    added = add(user, session)
    folder = live.services.config.data_dir / "files" / user.id.replace("-", "")
    (folder / SHA256[:2] / SHA256).unlink()
    (folder / SHA256[:2] / SHA256).symlink_to("/etc/passwd")
    response = content(user, added)
    assert (response.status_code, response.json()["code"]) == (503, "storage_unavailable")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf',
        b'--b\r\nContent-Disposition: form-data; name="other"; filename="a"\r\n\r\nx\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nno file\r\n--b--\r\n',
        (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--b\r\n'
            b'Content-Disposition: form-data; name="file"; filename="b"\r\n\r\ny\r\n--b--\r\n'
        ),
        b"--b\r\nNo-Disposition: x\r\n\r\nx\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xff"\r\n\r\nx\r\n--b--\r\n',
    ],
)
def test_form_without_exactly_one_whole_file_is_400_and_leaves_nothing(live, user, session, body):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = user.http.post(f"{session}/files", content=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")
    assert paths(live, user) == []
