"""The scan of several files within one deadline."""

import io

import pytest

from service.domain.file_scans import FileScans, FileStatus
from service.domain.files import work_sessions
from service.domain.files.files import Files, Upload, choose_files
from service.domain.scans.options import ScanOptions
from service.errors import AnalyzerTimeout
from tests.domain.conftest import TEXT


@pytest.fixture
def files(transactions, tmp_path):
    return Files(transactions, tmp_path / "files", quota_bytes=10**6, max_bytes=10**6)


@pytest.fixture
def stored(transactions, files, add_user):
    """Three files of one session, oldest first."""
    user = add_user()
    session = transactions.run(work_sessions.create, user.id, "s", max_sessions=9).work_session
    for n in range(3):
        upload = Upload(f"{n}.txt", "text/plain", io.BytesIO(f"{TEXT} {n}".encode()))
        files.add(user.id, session.id, upload)
    return transactions.read(choose_files, user.id, session.id, None)


def scan_all(files, scans, stored, *, timeout_s, key=None):
    file_scans = FileScans(files, lambda: scans, max_bytes=10**6, timeout_s=timeout_s)
    return file_scans.scan_all(stored, ScanOptions(caller="caller"), key=key, admit=lambda: None)


def time_out_from(pipeline, n):
    """Let scans miss their deadline from the one with this number on."""

    def during_scan():
        if len(pipeline.submissions) >= n:
            raise AnalyzerTimeout("The scan did not end in time.")

    pipeline.during_scan = during_scan


def test_files_are_scanned_oldest_first_each_as_a_scan_of_its_own(files, scans, stored, reported):
    results = scan_all(files, scans, stored, timeout_s=60)
    assert [(r.file.name, r.status) for r in results] == [
        (f"{n}.txt", FileStatus.SCANNED) for n in range(3)
    ]
    assert reported == [r.stored.scan.id for r in results]


def test_files_that_the_deadline_cannot_hold_are_not_done(files, scans, stored, reported):
    results = scan_all(files, scans, stored, timeout_s=0)
    assert [r.status for r in results] == [FileStatus.NOT_DONE] * 3
    assert reported == []


def test_file_that_misses_the_deadline_behind_others_is_not_done(files, scans, stored, pipeline):
    time_out_from(pipeline, 2)
    results = scan_all(files, scans, stored, timeout_s=60)
    assert [r.status for r in results] == ["scanned", "not_done", "not_done"]


def test_file_that_needs_more_than_the_whole_deadline_has_failed(files, scans, stored, pipeline):
    time_out_from(pipeline, 1)
    [result, *_] = scan_all(files, scans, stored, timeout_s=60)
    assert (result.status, result.error.code) == ("failed", "analyzer_timeout")


def test_repeated_request_does_not_wait_for_ever_for_a_file_that_is_too_slow(
    files, scans, stored, pipeline
):
    time_out_from(pipeline, 2)
    statuses = [
        [r.status for r in scan_all(files, scans, stored, timeout_s=60, key="once")]
        for _ in range(2)
    ]
    assert statuses == [["scanned", "not_done", "not_done"], ["scanned", "failed", "not_done"]]
