"""A full disk under uploads, originals and SQLite: 503, nothing half-written, and afterwards work goes on."""

import contextlib
import os
import secrets
import subprocess
import sys
from functools import partial

import pytest

from tests.e2e.conftest import ROOT, Process, environment
from tests.e2e.crashes import KEYS
from tests.e2e.faults.outcome import Outcome, post
from tests.e2e.test_start_and_stop import log_in
from tests.support.calls import HTTP
from tests.support.sentences import FLOW_TEXT

DISK_BYTES, KEPT_BYTES = 200 << 20, 1 << 16
N_CALLS = 10
TEXT_CHARS = 10_000
FULL = ("503 storage_unavailable", "503 database_unavailable")
LIMIT_S = 60.0


@contextlib.contextmanager
def small_disk(folder):
    """Mount a file system of DISK_BYTES."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine mounts no file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def run(folder):
    """Fill the disk of DATA_DIR, write in every way, free it; return the outcomes."""
    with small_disk(folder / "disk") as disk:
        data = disk / "data"
        process = Process(data, **KEYS)
        try:
            url = process.when_ready().url
            headers = log_in(url)
            body = {"store_original": True}
            HTTP.put(f"{url}/api/v1/settings", json=body, headers=headers).raise_for_status()
            made = post(
                url, "/api/v1/sessions", headers, json={"name": "Tender"}
            ).raise_for_status()
            return _outcomes(process, disk, headers, made.headers["Location"])
        finally:
            process.kill()


def _outcomes(process, disk, headers, session):
    acknowledged = {}

    def write(what, when, *expected):
        outcome = Outcome(f"{what}, {when}")
        send = partial(WAYS[what], process.url, headers, session, acknowledged)
        outcome.repeat(send, N_CALLS, at_once=2)
        return outcome.expect(*expected, within_s=LIMIT_S)

    outcomes = [write(what, "room on the disk", "201") for what in WAYS]
    with filled(disk):
        outcomes += [write(what, "disk full", *FULL, "201") for what in WAYS]
        for outcome in outcomes[-len(WAYS) :]:
            if not any(outcome.answers[answer] for answer in FULL):
                outcome.wrong.append("the disk was not full")
        outcomes.append(_reading(process.url, headers, "reading, disk full", acknowledged))
        outcomes[-1].wrong += verified(disk / "data")
    process.wait_until("/health/ready", 200)
    outcomes += [write(what, "room again", "201") for what in WAYS]
    outcomes.append(_reading(process.url, headers, "reading, room again", acknowledged))
    outcomes[-1].wrong += verified(disk / "data")
    outcomes[-1].wrong += [f"log: {line[:300]}" for line in process.lines if "Traceback" in line]
    return outcomes


def _reading(url, headers, title, acknowledged):
    """Read back everything that was acknowledged."""
    outcome = Outcome(title)
    for path, content in list(acknowledged.items()):
        at = url + path
        answer = outcome.call(lambda at=at: HTTP.get(at, headers=headers))
        got = answer.json()["text"] if isinstance(content, str) else answer.content
        if got != content:
            outcome.wrong.append(f"{path} differs from what was sent")
    return outcome.expect("200", within_s=LIMIT_S)


@contextlib.contextmanager
def filled(disk):
    """Leave KEPT_BYTES free; they take SQLite's locks, but no row of a document."""
    filler = disk / "filler"
    free = os.statvfs(disk)
    with filler.open("wb") as file:
        left = free.f_bavail * free.f_frsize - KEPT_BYTES
        while left > 0:
            left -= file.write(b"\0" * min(left, 1 << 20))
    try:
        yield
    finally:
        filler.unlink()


def upload(url, headers, session, acknowledged):
    data = secrets.token_bytes(300_000)
    form = {"file": (f"{secrets.token_hex(4)}.txt", data)}
    answer = post(url, f"{session}/files", headers, files=form)
    if answer.status_code == 201:
        acknowledged[f"{session}/files/{answer.json()['id']}/content"] = data
    return answer


def original(url, headers, _session, acknowledged):
    data = new_text().encode()
    answer = post(url, "/api/v1/scan", headers, files={"file": ("plan.txt", data)})
    if answer.status_code == 201:
        acknowledged[f"{document_of(url, headers, answer)}/original"] = data
    return answer


def row(url, headers, _session, acknowledged):
    text = new_text()
    answer = post(url, "/api/v1/scan", headers, json={"text": text})
    if answer.status_code == 201:
        start = text[:TEXT_CHARS]
        acknowledged[f"{document_of(url, headers, answer)}/text?start=0&end={TEXT_CHARS}"] = start
    return answer


def document_of(url, headers, answer):
    scan = HTTP.get(f"{url}/api/v1/scans/{answer.json()['scan_id']}", headers=headers)
    return f"/api/v1/documents/{scan.raise_for_status().json()['document_id']}"


def new_text():
    return f"{FLOW_TEXT} {secrets.token_hex(8)}. {'The vendor may fail. ' * 5_000}"


WAYS = {"upload to a session": upload, "scan with its original": original, "scan of text": row}


def verified(data_dir):
    """Return what `files verify` finds."""
    command = [sys.executable, "-m", "service", "files", "verify"]
    environ = {**environment(data_dir), **KEYS}
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    return (
        [] if done.returncode == 0 else [f"files verify: {done.stdout[-500:]} {done.stderr[-500:]}"]
    )
