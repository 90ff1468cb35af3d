"""The content-addressed store: what is on disk after writes, deletions, failures and crashes."""

import hashlib
import io
import os
import resource
import subprocess
import sys
import threading

import pytest

from service.domain.files.file_store import FileStore, StoredFile
from service.errors import StorageUnavailable
from tests.support.waiting import PATIENCE_S, wait_until

DATA = bytes(range(256)) * 3000
SHA256 = hashlib.sha256(DATA).hexdigest()
CRASHING_WRITER = """
import os, sys
from pathlib import Path
from service.domain.files.file_store import FileStore

class Dying:
    n = 0
    def read(self, n):
        self.n += 1
        return b"x" * n if self.n < 3 else os.kill(os.getpid(), 9)

FileStore(Path(sys.argv[1])).write(Dying())
"""


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "files")


def names(tmp_path):
    return {str(p.relative_to(tmp_path / "files")) for p in tmp_path.rglob("*") if p.is_file()}


def test_write_returns_hash_and_size_and_open_returns_the_bytes(store):
    assert store.write(io.BytesIO(DATA)) == StoredFile(SHA256, len(DATA))
    with store.open(SHA256) as file:
        assert file.read() == DATA


def test_disk_has_names_of_hashes_only(store, tmp_path):
    store.write(io.BytesIO(DATA))
    assert names(tmp_path) == {"lock", f"{SHA256[:2]}/{SHA256}"}


def test_same_bytes_are_stored_once(store):
    store.write(io.BytesIO(DATA))
    store.write(io.BytesIO(DATA))
    assert list(store.sizes()) == [StoredFile(SHA256, len(DATA))]


@pytest.mark.parametrize(("start", "end"), [(0, 1), (5, 300_000), (700_000, None), (0, 10**9)])
def test_open_with_a_range_returns_that_part(store, start, end):
    store.write(io.BytesIO(DATA))
    with store.open(SHA256, start=start, end=end) as file:
        assert (len(file), file.read()) == (len(DATA[start:end]), DATA[start:end])


def test_range_is_seekable_by_its_own_positions(store):
    store.write(io.BytesIO(DATA))
    with store.open(SHA256, start=100, end=200) as file:
        assert (file.seek(0, os.SEEK_END), file.seek(-10, os.SEEK_CUR)) == (100, 90)
        assert file.read() == DATA[190:200]


def test_deleted_bytes_are_gone_and_a_second_deletion_says_so(store):
    store.write(io.BytesIO(DATA))
    assert (store.delete(SHA256), store.delete(SHA256)) == (True, False)
    with pytest.raises(StorageUnavailable, match="files verify"):
        store.open(SHA256)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", SHA256.upper(), SHA256 + "\n", "/" * 64])
def test_no_other_name_than_a_hash_reaches_the_disk(store, name):
    for method in (store.open, store.delete, store.has):
        with pytest.raises(ValueError, match="SHA-256"):
            method(name)


def test_link_in_place_of_stored_bytes_is_not_followed(store, tmp_path):
    store.write(io.BytesIO(DATA))
    path = tmp_path / "files" / SHA256[:2] / SHA256
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(StorageUnavailable):
        store.open(SHA256)


def test_stream_that_fails_leaves_nothing(store, tmp_path):
    class Failing:
        n = 0

        def read(self, n):
            self.n += 1
            if self.n == 2:
                raise ConnectionResetError
            return b"x" * n

    with pytest.raises(ConnectionResetError):
        store.write(Failing())
    assert names(tmp_path) == {"lock"}


def test_received_bytes_that_nobody_keeps_leave_nothing(store, tmp_path):
    with store.receive(io.BytesIO(DATA)) as incoming:
        assert incoming.stored.sha256 == SHA256
    assert names(tmp_path) == {"lock"}


def test_killed_writer_leaves_a_leftover_that_can_be_removed(store, tmp_path):
    command = [sys.executable, "-c", CRASHING_WRITER, tmp_path / "files"]
    assert subprocess.run(command, timeout=PATIENCE_S, check=False).returncode == -9
    (name,) = store.leftovers()
    store.remove_leftover(name)
    assert names(tmp_path) == {"lock"}


def test_write_in_progress_is_no_leftover(store):
    with store.receive(io.BytesIO(DATA)):
        assert store.leftovers() == []


def test_damaged_bytes_have_another_digest(store, tmp_path):
    store.write(io.BytesIO(DATA))
    (tmp_path / "files" / SHA256[:2] / SHA256).write_bytes(b"changed")
    assert store.digest(SHA256) == StoredFile(hashlib.sha256(b"changed").hexdigest(), 7)


def test_lock_excludes_a_second_holder(store):
    order = []

    def second():
        order.append("waits")
        with store.lock():
            order.append("second")

    thread = threading.Thread(target=second)
    with store.lock():
        thread.start()
        wait_until(lambda: order)
        order.append("first")
    thread.join(PATIENCE_S)
    assert order == ["waits", "first", "second"]


def test_lock_that_waited_for_a_removal_holds_a_new_lock(store, tmp_path):
    store.write(io.BytesIO(DATA))
    order = []

    def write():
        order.append("waits")
        store.write(io.BytesIO(DATA))

    thread = threading.Thread(target=write)
    with store.lock():
        thread.start()
        wait_until(lambda: order)
        assert store.remove()
        assert names(tmp_path) == set()
    thread.join(PATIENCE_S)
    assert store.digest(SHA256) == StoredFile(SHA256, len(DATA))
    assert names(tmp_path) == {"lock", f"{SHA256[:2]}/{SHA256}"}


def test_removal_leaves_a_write_in_progress_and_its_mark(store):
    with store.receive(io.BytesIO(DATA)) as incoming:
        with store.lock():
            store.mark_for_removal()
            assert not store.remove()
            assert store.is_marked()
        assert incoming.keep().sha256 == SHA256
    with store.lock():
        assert store.remove()
    assert not store.is_marked()


def test_folder_that_cannot_be_made_names_the_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable, match="DATA_DIR"):
        FileStore(tmp_path / "file" / "files").write(io.BytesIO(DATA))


def test_refused_write_is_reported_and_leaves_nothing(store, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(StorageUnavailable, match="File too large"):
            store.write(io.BytesIO(DATA))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == {"lock"}
