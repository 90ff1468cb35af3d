"""The service works with a full disk for temporary files, since it stores nothing there."""

import os
import subprocess

import pytest

from tests.e2e.test_start_and_stop import log_in
from tests.support.calls import HTTP

FOLDER_BYTES, SPARE_BYTES = 1 << 20, 1 << 16
TEXT = "The vendor may fail. " * 20_000
"""420,000 characters whose findings are 2 MB of answer."""


@pytest.fixture
def full_folder(tmp_path):
    """A file system in memory that is nearly full, so that Python still takes it for its files."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={FOLDER_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine mounts no file system")
    try:
        (folder / "fill").write_bytes(b"x" * (FOLDER_BYTES - SPARE_BYTES))
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def process(start, full_folder):
    return start(TMPDIR=str(full_folder))


def test_large_upload_is_answered_though_the_disk_is_full(process):
    headers = log_in(process.url)
    for _ in range(5):
        files = {"file": ("a.txt", b"x" * 10_000_000)}
        answer = HTTP.post(f"{process.url}/api/scan", files=files, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    files = {"file": ("a.txt", b" " * 2_000_000 + b"The vendor may fail.")}
    assert HTTP.post(f"{process.url}/api/scan", files=files, headers=headers).status_code == 201


def test_large_answer_arrives_whole_though_the_disk_is_full(process):
    headers = log_in(process.url) | {"Accept-Encoding": "identity"}
    answer = HTTP.post(f"{process.url}/api/scan", data={"text": TEXT}, headers=headers)
    assert answer.status_code == 201
    assert len(answer.content) > 1_500_000
    assert len(answer.json()["data"]) == 20_000
