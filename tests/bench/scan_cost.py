"""Cost of a stored scan: processor time of service and database, statements, redo log, and bytes that stay.

One sentence in five states a risk, as in real contracts, policies and reports. docs/scaling.md computes with
these figures.
"""

import json
import random
import tempfile
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import psutil
from sqlalchemy import create_engine, inspect, text

from service.config.settings import ROOT
from tests.bench.load import json_request, send
from tests.bench.plots import lines
from tests.bench.results import Result
from tests.bench.sentences import Documents, endless
from tests.bench.servers import riskscan, running, token
from tests.support.mariadb import MariaDb

_SIZES = {1: 4_000, 20: 1_500, 100: 400}
"""Scans by number of sentences in each."""
_RISK_SHARE = 0.2
_N_CLIENTS = 8
_COLUMNS = (
    "sentences",
    "bytes of text",
    "scans a second",
    "service, processor ms",
    "database, processor ms",
    "statements",
    "redo log, bytes",
    "stored, bytes",
)
_SEED = 11
_STATUS = ("Questions", "Com_commit", "Innodb_os_log_written", "Bytes_received", "Bytes_sent")


def run(options):
    """Store scans of each size in a MariaDB of their own, and count what they take."""
    by_size = {n: _measured(options, n, options.size(times)) for n, times in _SIZES.items()}
    return _result(by_size)


def _measured(options, n_sentences, n_scans):
    documents = Documents(_natural())
    # A server of its own: the counters of another would include other programs' work.
    with (
        tempfile.TemporaryDirectory() as place,
        _own_database(Path(place)) as url,
        running(riskscan(options, Path(place) / "service", database_url=url)) as server,
    ):
        headers = token(server)
        texts = [documents.next(n_sentences)[0] for _ in range(n_scans + _N_CLIENTS)]
        requests = [json_request("/api/scan", {"text": t}, **headers) for t in texts]
        send(server, requests[:_N_CLIENTS], options, n_clients=_N_CLIENTS)
        engine = create_engine(url)
        database = psutil.Process(_database_pid(engine))
        before, bytes_before = _counters(engine, server, database), _table_bytes(engine)
        load = send(server, requests[_N_CLIENTS:], options, n_clients=_N_CLIENTS)
        after, bytes_after = _counters(engine, server, database), _table_bytes(engine)
        engine.dispose()
    grown = {name: (bytes_after[name] - bytes_before[name]) / n_scans for name in bytes_after}
    return {
        "n_scans": n_scans,
        "scans_per_s": n_scans / load["elapsed_s"],
        "text_bytes": sum(len(t.encode()) for t in texts[_N_CLIENTS:]) / n_scans,
        **{name: (after[name] - before[name]) / n_scans for name in after},
        "stored_bytes": sum(grown.values()),
        "by_table": {name: size for name, size in grown.items() if size},
    }


@contextmanager
def _own_database(folder):
    database = MariaDb(folder)
    try:
        yield database.url
    finally:
        database.kill()


def _natural():
    """Yield different sentences, of which _RISK_SHARE state a risk."""
    risks, others = _labelled(is_risk=True), _labelled(is_risk=False)
    draw = random.Random(_SEED)
    while True:
        yield next(risks if draw.random() < _RISK_SHARE else others)


def _labelled(*, is_risk):
    paths = sorted((ROOT / "ml" / "data").glob("authored-*.jsonl"))
    rows = (json.loads(line) for path in paths for line in path.open(encoding="utf-8"))
    labels = {row["text"].strip().rsplit(" ", 1)[0]: bool(row["labels"]) for row in rows}
    return (s for s in endless() if labels[s.rsplit(" ", 1)[0]] is is_risk)


def _database_pid(engine):
    with engine.connect() as connection:
        path = connection.scalar(
            text("SELECT CONCAT(IF(@@pid_file LIKE '/%', '', @@datadir), @@pid_file)")
        )
    return int(Path(path).read_text(encoding="ascii"))


def _counters(engine, server, database):
    with engine.connect() as connection:
        rows = dict(connection.execute(text("SHOW GLOBAL STATUS")).tuples().all())
    cpu = {
        "service_cpu_ms": 1000 * server.cpu_s(),
        "database_cpu_ms": 1000 * sum(database.cpu_times()[:2]),
    }
    return cpu | {name: float(rows[name]) for name in _STATUS}


def _table_bytes(engine):
    names = inspect(engine).get_table_names()
    with engine.connect() as connection:
        connection.execute(text(f"ANALYZE TABLE {', '.join(names)}"))
        rows = connection.execute(
            text(
                "SELECT table_name, data_length + index_length FROM information_schema.tables "
                "WHERE table_schema = DATABASE()"
            )
        )
        return {name: float(size) for name, size in rows}


def _result(by_size):
    rows = [
        (
            f"{n:,}",
            f"{f['text_bytes']:,.0f}",
            f"{f['scans_per_s']:,.0f}",
            f"{f['service_cpu_ms']:.1f}",
            f"{f['database_cpu_ms']:.2f}",
            f"{f['Questions']:.1f}",
            f"{f['Innodb_os_log_written']:,.0f}",
            f"{f['stored_bytes']:,.0f}",
        )
        for n, f in by_size.items()
    ]
    largest = sorted(by_size[max(by_size)]["by_table"].items(), key=lambda item: -item[1])
    sizes = ", ".join(f"{name} {size:,.0f}" for name, size in islice(largest, 6))
    stored = [f["stored_bytes"] for f in by_size.values()]
    return Result(
        name="scan-cost",
        title="Cost of a stored scan",
        head=_COLUMNS,
        rows=rows,
        figures={str(n): f for n, f in by_size.items()},
        panels=[lines({"": (list(by_size), stored)}, xlabel="sentences", ylabel="bytes stored")],
        targets=[],
        notes=(
            f"{_N_CLIENTS} clients, one account; one sentence in five states a risk",
            "statements include COMMIT",
            f"bytes stored by table, {max(by_size)} sentences: {sizes}",
        ),
    )
