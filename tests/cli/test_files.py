"""`files verify`: each kind of fault is listed, mended with --repair, and gone afterwards."""

import hashlib
import io

import pytest

from service.domain.files import work_sessions
from service.domain.files.files import Upload

DATA = b"some bytes"
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def stored(riskscan, services):
    """A user's store with one file."""
    riskscan("db", "upgrade")
    user = services.accounts.register("a@corp.local", "correct horse")
    session = services.transactions.run(
        work_sessions.create, user.id, "Tender", max_sessions=9
    ).work_session
    services.files.add(user.id, session.id, Upload("a.txt", "text/plain", io.BytesIO(DATA)))
    return services.files.store(user.id)


@pytest.fixture
def folder(stored, services):  # noqa: ARG001 - it stores the file first
    (path,) = (services.config.data_dir / "files").iterdir()
    return path


def add_leftover(folder):
    (folder / "incoming" / "ab").write_bytes(b"half")


def add_bytes_without_row(folder):
    sha256 = hashlib.sha256(b"other").hexdigest()
    (folder / sha256[:2]).mkdir(exist_ok=True)
    (folder / sha256[:2] / sha256).write_bytes(b"other")


def change_bytes(folder):
    (folder / SHA256[:2] / SHA256).write_bytes(b"changed")


def remove_bytes(folder):
    (folder / SHA256[:2] / SHA256).unlink()


def replace_by_link(folder):
    remove_bytes(folder)
    (folder / SHA256[:2] / SHA256).symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (add_leftover, "left-over temporary file: ab"),
        (add_bytes_without_row, "bytes without a row: "),
        (change_bytes, f"bytes that changed: {SHA256}"),
        (remove_bytes, f"row without bytes: {SHA256}"),
        (replace_by_link, f"row without bytes: {SHA256}"),
    ],
)
def test_fault_is_listed_then_mended_then_gone(riskscan, folder, harm, line):
    harm(folder)
    listing, again = riskscan("files", "verify"), riskscan("files", "verify")
    assert (listing.returncode, listing.stdout) == (1, again.stdout)
    assert line in listing.stdout
    assert riskscan("files", "verify", "--repair").returncode == 0
    assert "agree" in riskscan("files", "verify").stdout


def test_sound_files_survive_a_repair(riskscan, stored):
    assert riskscan("files", "verify", "--repair").returncode == 0
    assert stored.open(SHA256).read() == DATA
    assert "agree" in riskscan("files", "verify").stdout


def test_service_itself_removes_what_a_killed_upload_left_but_no_upload_in_progress(
    folder, stored, services
):
    add_leftover(folder)
    with stored.receive(io.BytesIO(b"in progress")) as incoming:
        assert services.clean_up.run_tasks()
        assert not (folder / "incoming" / "ab").exists()
        assert incoming.keep().size_bytes == len(b"in progress")
    assert stored.open(SHA256).read() == DATA


def test_verification_needs_no_files(riskscan):
    assert "agree" in riskscan("files", "verify").stdout
