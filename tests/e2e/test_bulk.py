"""`python -m service bulk` on Ray: killed and run again, on two nodes, into a database."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter

import psutil
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine, text

from service.config.settings import ROOT, load
from service.domain.services import build_services
from tests.support.archives import write_archive
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow
N_DOCUMENTS = 300


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A file of different documents, two of them bad."""
    path = write_archive(tmp_path_factory.mktemp("archive") / "archive.jsonl", N_DOCUMENTS)
    with path.open("a") as file:
        file.write('{"id": "empty", "text": " "}\n{"id": "torn", "te')
    return path


class Bulk:
    """Runs the command as a process of its own, with its processes in a group of their own."""

    def __init__(self, folder, *arguments, **settings):
        environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "RISKSCAN_ENV_FILE": ""}
        environ |= {"DATA_DIR": str(folder / "data"), "TMPDIR": "/tmp", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "service", "bulk", *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environ | settings,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self, timeout_s=300):
        """Wait for the end; return the exit status and standard error."""
        _, stderr = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, stderr

    def descendants(self):
        """Return the processes that it started, and theirs."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def workers(self):
        """Return the processes of the pool."""
        return [p for p in self.descendants() if is_worker(p)]


def is_worker(process):
    """Return whether a process is an actor of the pool; Ray names them so."""
    try:
        return process.name().startswith("ray::MapWorker")
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def bulk(tmp_path):
    """Start the command with arguments; whatever still runs at the end of the test is killed."""
    runs = []

    def start(*arguments, **settings):
        runs.append(Bulk(tmp_path, *arguments, **settings))
        return runs[-1]

    yield start
    for run in runs:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.process.pid, signal.SIGKILL)
        run.process.communicate()


def rows_in(folder):
    """Return id and error of each row of all part files."""
    columns = ["id", "error", "findings"]
    parts = sorted(folder.glob("part-*.parquet"))
    return [row for part in parts for row in pq.read_table(part, columns=columns).to_pylist()]


def check_complete(folder):
    """Check that the sink has each document of the archive exactly once."""
    rows = rows_in(folder)
    counts = Counter(row["id"] for row in rows)
    assert set(counts.values()) == {1}
    assert len(counts) == N_DOCUMENTS + 2
    assert sum(bool(row["findings"]) for row in rows) > N_DOCUMENTS / 2
    bad = [json.loads(line) for line in (folder / "_errors.jsonl").read_text().splitlines()]
    assert {row["id"] for row in bad} == {"empty", f"archive.jsonl:{N_DOCUMENTS + 2}"}


def test_bulk_killed_with_its_workers_and_run_again_has_each_document_once(bulk, archive, tmp_path):
    sink = tmp_path / "results"
    first = bulk(archive, sink, "--part-seconds", 0)
    wait_until(lambda: list(sink.glob("part-*")))
    started = first.descendants()
    first.process.send_signal(signal.SIGKILL)
    first.end()
    wait_until(lambda: not any(p.is_running() for p in started))
    n_before = len(rows_in(sink))
    second = bulk(archive, sink)
    wait_until(second.workers)
    second.workers()[0].kill()
    status, stderr = second.end()
    assert status == 3, stderr
    assert f"{N_DOCUMENTS + 2 - n_before:,} documents, {n_before} by earlier runs" in stderr
    check_complete(sink)


def test_bulk_stopped_by_sigterm_stores_what_it_has_and_says_how_to_continue(
    bulk, archive, tmp_path
):
    sink = tmp_path / "results"
    run = bulk(archive, sink, "--part-seconds", 0)
    wait_until(lambda: list(sink.glob("part-*")))
    run.process.terminate()
    status, stderr = run.end()
    assert status == 130
    assert "Run the same command again" in stderr
    assert "Traceback" not in stderr


@pytest.fixture
def two_nodes():
    """The settings of a process that uses a Ray cluster of two nodes on this machine."""
    command = [sys.executable, "-m", "tests.support.ray_cluster"]
    cluster = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield json.loads(cluster.stdout.readline())
    finally:
        cluster.communicate()


def test_bulk_on_two_nodes_has_each_document_once(bulk, archive, tmp_path, two_nodes):
    sink = tmp_path / "results"
    run = bulk(archive, sink, **two_nodes)
    status, stderr = run.end()
    assert status == 3, stderr
    check_complete(sink)


def test_bulk_into_the_database_stores_each_document_once(bulk, archive, tmp_path, database_url):
    settings = {"DATABASE_URL": database_url}
    with build_services(load({**settings, "DATA_DIR": str(tmp_path / "data")})) as services:
        services.accounts.register("owner@b.example", "a long password")
    arguments = (
        archive,
        "database",
        "--user",
        "owner@b.example",
        "--errors",
        tmp_path / "errors.jsonl",
    )
    first = bulk(*arguments, **settings)
    engine = create_engine(database_url)
    wait_until(lambda: count(engine, "scans"))
    first.process.kill()
    first.end()
    status, stderr = bulk(*arguments, **settings).end()
    assert status == 3, stderr
    assert count(engine, "scans") == count(engine, "documents") == N_DOCUMENTS
    assert count(engine, "audit_events WHERE action = 'scan.created'") == N_DOCUMENTS
    assert len((tmp_path / "errors.jsonl").read_text().splitlines()) == 2
    engine.dispose()


def count(engine, rows):
    """Return how many rows a table has."""
    with engine.connect() as connection:
        return connection.execute(text(f"SELECT COUNT(*) FROM {rows}")).scalar_one()
