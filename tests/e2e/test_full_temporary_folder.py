"""The service works with a full TMPDIR, since it writes no temporary files."""

import os
import subprocess

import pytest

from tests.e2e.test_start_and_stop import log_in
from tests.support.calls import HTTP

FOLDER_BYTES, SPARE_BYTES = 1 << 20, 1 << 16
TEXT = "The vendor may fail. " * 20_000
"""420,000 characters; the response with their findings is 2 MB."""


@pytest.fixture
def full_folder(tmp_path):
    """A file system that is nearly full; Python still accepts it as TMPDIR, but a document does not fit."""
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


def test_large_upload_with_a_full_tmpdir_is_answered(process):
    headers = log_in(process.url)
    for _ in range(5):
        files = {"file": ("a.txt", b"x" * 10_000_000)}
        answer = HTTP.post(f"{process.url}/api/scan", files=files, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    files = {"file": ("a.txt", b" " * 2_000_000 + b"The vendor may fail.")}
    assert HTTP.post(f"{process.url}/api/scan", files=files, headers=headers).status_code == 201


def test_large_response_with_a_full_tmpdir_arrives_whole(process):
    headers = log_in(process.url) | {"Accept-Encoding": "identity"}
    answer = HTTP.post(f"{process.url}/api/scan", data={"text": TEXT}, headers=headers)
    assert answer.status_code == 201
    assert len(answer.content) > 1_500_000
    assert len(answer.json()["data"]) == 20_000
