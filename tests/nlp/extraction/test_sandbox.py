"""The sandbox against a child that a document has taken over: it fails, hangs, or answers nonsense."""

import json
import socket

import psutil
import pytest

from service.errors import TooLarge, UnreadableDocument
from service.nlp.extraction import landlock
from service.nlp.extraction.sandbox import ReadJob, read_in_sandbox

MEMORY_BYTES = 805_306_368
SLEEPS = "import sys, time; time.sleep(60)"


def children():
    return psutil.Process().children(recursive=True)


def job(reader="report_limits", **options):
    reader = f"tests.fakes.hostile_worker:{reader}"
    return ReadJob(reader, options, max_chars=1_000, memory_bytes=MEMORY_BYTES, cpu_s=5)


def run_hostile(code, *, timeout_s=60.0, max_answer_bytes=10_000):
    """Run `code` in the child's place: what a document that took the reader over could do."""
    head, _ = read_in_sandbox(
        b"data",
        job(code=code),
        timeout_s=timeout_s,
        max_answer_bytes=max_answer_bytes,
        worker="tests.fakes.hostile_worker",
    )
    return head


def test_sandbox_child_has_an_empty_environment(monkeypatch):
    monkeypatch.setenv("JWT_SECRET", "hunter2")
    code = "import os, json; print(json.dumps({'env': dict(os.environ)}))"
    assert "JWT_SECRET" not in run_hostile(code)["env"]


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.abort()",
        "print('no json')",
        "print('[1]')",
        "import sys; sys.exit(3)",
        "print('x' * 1_000_000)",
        "raise MemoryError",
    ],
)
def test_sandbox_child_that_fails_raises_unreadable_document(code):
    with pytest.raises(UnreadableDocument, match="could not be read"):
        run_hostile(code)


def test_sandbox_child_that_does_not_end_is_killed_at_the_time_out():
    before = set(children())
    with pytest.raises(TooLarge, match="EXTRACT_TIMEOUT_S"):
        run_hostile("import time; time.sleep(60)", timeout_s=0.2)
    assert set(children()) <= before


def test_sandbox_child_that_is_stopped_is_killed_with_its_group(tmp_path):
    noted = tmp_path / "pid"
    code = (
        "import pathlib, subprocess, sys;"
        f"p = subprocess.Popen([sys.executable, '-c', '{SLEEPS}']);"
        f"pathlib.Path('{noted}').write_text(str(p.pid));"
        "print('x' * 1_000_000, flush=True); p.wait()"
    )
    before = set(children())
    with pytest.raises(UnreadableDocument, match="could not be read"):
        run_hostile(code)  # the answer is too long
    assert set(children()) <= before
    assert is_gone(int(noted.read_text()))


def is_gone(pid):
    """Return whether a killed grandchild has ended; init reaps it at some later time."""
    try:
        grandchild = psutil.Process(pid)
        return grandchild.status() == psutil.STATUS_ZOMBIE or grandchild.wait(60) is None
    except psutil.NoSuchProcess:
        return True


@pytest.mark.skipif(landlock.version() < 4, reason="the kernel restricts TCP since Linux 6.7")
def test_sandbox_child_can_read_and_change_nothing(tmp_path):
    (path := tmp_path / "file").write_text("kept")
    with socket.create_server(("127.0.0.1", 0)) as server:
        options = {"path": str(path), "port": server.getsockname()[1]}
        _, body = read_in_sandbox(
            b"", job("report_attempts", **options), timeout_s=60, max_answer_bytes=10_000
        )
    assert json.loads(bytes(body)[16:]) == ["read"]  # after the offsets of one block
    assert ([*tmp_path.iterdir()], path.read_text()) == ([path], "kept")


def test_sandbox_child_runs_under_kernel_limits():
    _, body = read_in_sandbox(b"", job(), timeout_s=60, max_answer_bytes=10_000)
    limits = json.loads(bytes(body)[16:])  # after the offsets of one block
    assert limits.pop("RLIMIT_CPU") <= 5  # less if the machine sets less
    assert limits == {
        "RLIMIT_AS": MEMORY_BYTES,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 8,
        "RLIMIT_NPROC": 0,
    }
