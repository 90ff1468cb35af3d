"""A batch whose workers, broker and database are killed while it runs.

    python -m tests.e2e.batch_crashes --documents 500 --worker-kills 20 --database-kills 5

Afterwards each document has one scan, one audit event and one item that is done, by row counts. With
`--in-process` the service scans the batch itself, and is killed in place of the workers and without a broker.
"""

import argparse
import contextlib
import json
import os
import random
import tempfile
import time
from pathlib import Path

import httpx

from tests.api.batching import counts, texts
from tests.e2e.conftest import Process
from tests.e2e.crashes import KEYS
from tests.e2e.test_start_and_stop import log_in
from tests.e2e.workers import Worker
from tests.support.calls import caller
from tests.support.mariadb import MariaDb
from tests.support.redis_server import RedisServer

LEASE_S = 3
SETTINGS = {**KEYS, "BATCH_LEASE_S": str(LEASE_S), "THREADS": "4"}
MAX_S = 1800
ROWS = """
    SELECT (SELECT COUNT(*) FROM batch_items WHERE state = 'done'),
           (SELECT COUNT(DISTINCT scan_id) FROM batch_items WHERE state = 'done'),
           (SELECT COUNT(*) FROM scans), (SELECT COUNT(*) FROM documents),
           (SELECT COUNT(*) FROM audit_events WHERE action = 'scan.created'),
           (SELECT COUNT(*) FROM audit_events WHERE action = 'batch.finished'),
           (SELECT SUM(n_findings) FROM scans), (SELECT COUNT(*) FROM findings),
           (SELECT MAX(attempts) FROM batch_items), (SELECT COUNT(*) FROM batch_items WHERE attempts > 1)
"""
NAMES = (
    *("n_done", "n_scans_of_items", "n_scans", "n_documents", "n_scan_events", "n_finished_events"),
    *("n_findings_of_scans", "n_findings", "most_attempts", "n_repeated"),
)


class World:
    """The processes of one run: MariaDB, the service, and Redis with two workers unless it works itself."""

    def __init__(self, folder, stack, *, in_process):
        self.in_process = in_process
        self._folder = folder
        self._stack = stack
        self.database = MariaDb(folder)
        stack.callback(self.database.kill)
        self.settings = {**SETTINGS, "DATABASE_URL": self.database.url}
        self.broker = None
        if not in_process:
            self.broker = RedisServer()
            stack.callback(self.broker.kill)
            self.settings["BROKER_URL"] = self.broker.url
        self.service = self._start_service()
        self.workers = [] if in_process else [self._start_worker() for _ in range(2)]

    def kill_worker(self, n):
        """Kill one worker, or the service that works itself, and start its successor."""
        if self.in_process:
            self.service.kill()
            self.service = self._start_service()
            return
        k = n % len(self.workers)
        self.workers[k].kill()
        self.workers[k] = self._start_worker()

    def restart(self, server):
        server.kill()
        time.sleep(0.5)
        server.start()

    def _start_service(self):
        process = Process(self._folder / "data", **self.settings)
        self._stack.callback(process.kill)
        return process.when_ready()

    def _start_worker(self):
        worker = Worker(self._folder / "data", **self.settings)
        self._stack.callback(worker.kill)
        return worker.when_ready()


class Account:
    """A client that repeats what fails while servers are away."""

    def __init__(self, world):
        self._world = world
        self._headers = log_in(world.service.url)

    def send(self, n):
        with caller(self._world.service.url) as http:
            http.headers.update(self._headers)
            response = http.post("/api/v1/batches", files=texts(n)).raise_for_status()
        return response.headers["Location"]

    def get(self, batch):
        """Return the batch, or None while the service or the database is away."""
        try:
            with caller(self._world.service.url) as http:
                answer = http.get(batch, headers=self._headers)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.status_code == 200 else None


def crash(*, n_documents, n_worker_kills, n_database_kills, in_process, seed=0):
    """Run a batch under all kills, spread over its documents; return what is stored."""
    chance = random.Random(seed)
    kills = ["worker"] * n_worker_kills + ["database"] * n_database_kills
    chance.shuffle(kills)
    if not in_process:
        kills.insert(len(kills) // 2, "broker")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        world = World(Path(folder), stack, in_process=in_process)
        account, began_s = Account(world), time.monotonic()
        batch = account.send(n_documents)
        sent_s = time.monotonic() - began_s
        for k, kill in enumerate(kills):
            _wait(account, batch, n_documents * k // (len(kills) + 1))
            time.sleep(chance.uniform(0, 0.3))
            if kill == "worker":
                world.kill_worker(k)
            else:
                world.restart(world.database if kill == "database" else world.broker)
        finished = _wait(account, batch, n_documents)
        report = {"send_s": round(sent_s, 1), "all_s": round(time.monotonic() - began_s, 1)}
        return {**report, "kills": len(kills), "batch": counts(finished), **_rows(world.database)}


def _wait(account, batch, n_ended):
    """Wait until so many documents have ended; return the batch."""
    end_s = time.monotonic() + MAX_S
    while time.monotonic() < end_s:
        found = account.get(batch)
        if found is not None and found["n_done"] + found["n_failed"] >= n_ended:
            return found
        time.sleep(0.05)
    raise TimeoutError(str(account.get(batch)))


def _rows(database):
    with database.connect(database="riskscan") as connection, connection.cursor() as cursor:
        cursor.execute(ROWS)
        [row] = cursor
    return {name: int(value) for name, value in zip(NAMES, row, strict=True)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument("--worker-kills", type=int, default=20)
    parser.add_argument("--database-kills", type=int, default=5)
    parser.add_argument("--in-process", action="store_true")
    chosen = parser.parse_args()
    result = crash(
        n_documents=chosen.documents,
        n_worker_kills=chosen.worker_kills,
        n_database_kills=chosen.database_kills,
        in_process=chosen.in_process,
    )
    print(json.dumps({**result, "cpus": os.cpu_count()}, indent=2))


if __name__ == "__main__":
    main()
