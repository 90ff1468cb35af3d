"""Several replicas that start at once on an empty database: one migrates, all become ready."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import create_engine, text

from db import migrate
from tests.e2e.conftest import Process
from tests.e2e.crashes import KEYS
from tests.e2e.faults.outcome import Outcome, post
from tests.e2e.test_start_and_stop import log_in
from tests.support.databases import fresh_database
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import PATIENCE_S


def run(folder, backend, n_replicas):
    """Start the replicas at once on a new database; each must become ready and store a scan."""
    outcome = Outcome(f"{n_replicas} replicas start at once on an empty {backend}")
    with fresh_database(backend, folder) as url:
        settings = {**KEYS, "DATABASE_URL": url, "LOG_LEVEL": "INFO"}
        data = [folder / f"data-{backend}-{n_replicas}-{n}" for n in range(n_replicas)]
        replicas = [Process(path, **settings) for path in data]
        try:
            with ThreadPoolExecutor(n_replicas) as waiting:
                list(waiting.map(lambda replica: replica.when_ready(), replicas))
            headers = log_in(replicas[0].url)
            for replica in replicas:
                at = replica.url
                outcome.call(lambda at=at: post(at, "/api/scan", headers, json={"text": FLOW_TEXT}))
            outcome.expect("201", within_s=PATIENCE_S)
            outcome.wrong += _schema_faults(url) + _log_faults(replicas)
        finally:
            for replica in replicas:
                replica.kill()
    return outcome


def _schema_faults(url):
    engine = create_engine(url)
    with engine.connect() as connection:
        revisions = list(
            connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
        )
    engine.dispose()
    faults = [] if revisions == [migrate.head()] else [f"the schema is at {revisions}"]
    return faults + [f"the schema differs: {difference}" for difference in migrate.differences(url)]


def _log_faults(replicas):
    lines = [line for replica in replicas for line in list(replica.lines)]
    return [f"log: {line[:300]}" for line in lines if "Traceback" in line or '"ERROR"' in line]
