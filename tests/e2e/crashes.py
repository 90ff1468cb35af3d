"""Writers that repeat their requests while the database and the service are killed under them.

    python -m tests.e2e.crashes --database-kills 20 --service-kills 10

Afterwards every scan that was acknowledged is stored once, with its findings and its audit event.
"""

import argparse
import json
import random
import secrets
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.e2e.conftest import Process
from tests.support.calls import caller
from tests.support.mariadb import MariaDb
from tests.support.sentences import FLOW_TEXT, N_FLOW_FINDINGS

KEYS = {
    "SECRET_KEY": "k" * 32,
    "JWT_SECRET": "j" * 32,
    "ACCESS_TOKEN_EXPIRE_MINUTES": "600",
    "LOGIN_RATE_LIMIT": "",
    "SCAN_RATE_LIMIT": "",
    "LOG_LEVEL": "ERROR",
}
PAUSE_S = (2.0, 5.0)
"""Range of the pause before each kill, which both servers need to be back at work."""
RETRY_S = 0.2
INCOMPLETE = f"""
    SELECT s.idempotency_key FROM scans s
    LEFT JOIN (SELECT scan_id, COUNT(*) AS n FROM findings GROUP BY scan_id) f ON f.scan_id = s.id
    LEFT JOIN (SELECT object_id, COUNT(*) AS n FROM audit_events WHERE action = 'scan.created'
               GROUP BY object_id) e ON REPLACE(e.object_id, '-', '') = s.id
    WHERE COALESCE(f.n, 0) <> s.n_findings OR s.n_findings <> {N_FLOW_FINDINGS} OR COALESCE(e.n, 0) <> 1
"""


class Service:
    """The service as its own process, started again after each kill."""

    def __init__(self, folder, database_url):
        self._folder = folder
        self._settings = {**KEYS, "DATABASE_URL": database_url, "THREADS": "8"}
        self.start()

    def start(self):
        self.process = Process(self._folder, **self._settings)

    @property
    def url(self):
        return self.process.url

    def kill(self):
        self.process.kill()


class Writer(threading.Thread):
    """One account that stores scan after scan, each repeated with its key until it is acknowledged."""

    def __init__(self, service, stopping):
        super().__init__()
        self.service = service
        self.acknowledged = {}
        self.answers = Counter()
        self.errors = []
        self._stopping = stopping
        account = {"email": f"{secrets.token_hex(8)}@corp.local", "password": "correct horse"}
        with caller(service.url) as http:
            self.user_id = (
                http.post("/api/auth/register", json=account).raise_for_status().json()["id"]
            )
            login = http.post("/api/auth/login", json=account).raise_for_status().json()
        self._headers = {"Authorization": f"Bearer {login['access_token']}"}

    def run(self):
        while not self._stopping.is_set():
            self._store(secrets.token_hex(8))

    def _store(self, key):
        headers = {**self._headers, "Idempotency-Key": key}
        while True:
            answer = self._send({"text": FLOW_TEXT}, headers)
            if answer is not None and answer.status_code == 201:
                self.acknowledged[key] = answer.json()["scan_id"]
                return
            if answer is not None and answer.status_code != 503:
                self.errors.append((answer.status_code, answer.text))
                return
            time.sleep(RETRY_S)

    def _send(self, body, headers):
        url = self.service.url
        try:
            answer = httpx.post(
                f"{url}/api/scan", json=body, headers=headers, timeout=60, verify=False
            )
        except httpx.HTTPError as error:
            self.answers[type(error).__name__] += 1
            return None
        in_doubt = " (in doubt)" if "may have been stored" in answer.text else ""
        self.answers[f"{answer.status_code}{in_doubt}"] += 1
        return answer


@contextmanager
def servers():
    """A MariaDB and a service of this run's own."""
    with tempfile.TemporaryDirectory() as folder:
        database = MariaDb(Path(folder))
        service = Service(Path(folder) / "service", database.url)
        try:
            service.process.when_ready()
            yield database, service
        finally:
            service.kill()
            database.kill()


def crash(*, n_writers=16, n_database_kills=20, n_service_kills=10, seed=0):
    """Run the writers under all kills, in random order; return what they saw and what is stored."""
    kills = ["database"] * n_database_kills + ["service"] * n_service_kills
    random.Random(seed).shuffle(kills)
    stopping = threading.Event()
    with servers() as (database, service):
        writers = [Writer(service, stopping) for _ in range(n_writers)]
        began_s = time.monotonic()
        for writer in writers:
            writer.start()
        try:
            for kill in kills:
                time.sleep(random.uniform(*PAUSE_S))
                killed = {"database": database, "service": service}[kill]
                killed.kill()
                killed.start()
                service.process.when_ready()
        finally:
            stopping.set()
            for writer in writers:
                writer.join()
        return report(database, writers, duration_s=time.monotonic() - began_s)


def report(database, writers, *, duration_s):
    """Compare what was acknowledged with what the database has."""
    with database.connect(database="riskscan") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT idempotency_key, id, user_id FROM scans")
        stored = {key: (scan_id, user_id) for key, scan_id, user_id in cursor}
        cursor.execute("SELECT COUNT(*) FROM scans")
        [(n_stored,)] = cursor
        cursor.execute("SELECT COUNT(*) FROM audit_events WHERE action = 'scan.created'")
        [(n_events,)] = cursor
        cursor.execute(INCOMPLETE)
        incomplete = [key for (key,) in cursor]
    acknowledged = {
        key: (scan_id.replace("-", ""), writer.user_id.replace("-", ""))
        for writer in writers
        for key, scan_id in writer.acknowledged.items()
    }
    lost = [key for key, owned in acknowledged.items() if stored.get(key) != owned]
    return {
        "duration_s": round(duration_s, 1),
        "n_acknowledged": len(acknowledged),
        "n_stored": n_stored,
        "n_events": n_events,
        "lost": lost,
        "doubled": n_stored - len(stored),
        "incomplete": incomplete,
        "errors": [error for writer in writers for error in writer.errors],
        "answers": dict(sum((writer.answers for writer in writers), Counter())),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--database-kills", type=int, default=20)
    parser.add_argument("--service-kills", type=int, default=10)
    chosen = parser.parse_args()
    result = crash(
        n_writers=chosen.writers,
        n_database_kills=chosen.database_kills,
        n_service_kills=chosen.service_kills,
    )
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
