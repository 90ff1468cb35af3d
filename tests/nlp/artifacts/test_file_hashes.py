"""A remembered hash is that of the file's present content."""

import hashlib
import os
import time

import pytest

from service.nlp.artifacts import file_hashes
from service.nlp.artifacts.file_hashes import FileHashes


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    time.sleep(1.1)  # a younger file is read each time
    return path


def expected(content):
    return hashlib.sha256(content).hexdigest()


def test_hash_of_an_unchanged_file_is_read_once(file, monkeypatch):
    hashes = FileHashes()
    assert hashes.sha256_of(file) == expected(b"one")
    monkeypatch.setattr(file_hashes, "sha256_of", lambda _path: pytest.fail("read again"))
    assert hashes.sha256_of(file) == expected(b"one")


def test_hash_of_a_file_written_in_place_with_its_old_times_is_the_new_one(file):
    hashes = FileHashes()
    hashes.sha256_of(file)
    before = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert hashes.sha256_of(file) == expected(b"two")


def test_hash_of_a_file_written_twice_at_once_is_the_last_one(file):
    hashes = FileHashes()
    for content in (b"two", b"six", b"ten"):
        file.write_bytes(content)
        assert hashes.sha256_of(file) == expected(content)
