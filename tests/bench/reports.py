"""A report of 1,000 scans with 20,000 findings in MariaDB: its time, and the memory of the service."""

import itertools
import time
from datetime import UTC, datetime, timedelta

import httpx
import uuid_utils.compat
from sqlalchemy import create_engine, insert, select
from sqlalchemy.orm import Session

from db.tables import Finding, Scan, User
from service.nlp.taxonomy import built_in
from tests.bench.plots import bars
from tests.bench.results import Result, spread
from tests.bench.sentences import endless
from tests.bench.servers import riskscan, running, token
from tests.support.databases import fresh_database

_N_SCANS, _FINDINGS = 1_000, 20
FORMATS = ("json", "csv", "sarif", "html", "xlsx", "pdf")


def run(options):
    """Store the scans, then request the report of all and of a tenth of them, in every format in turn."""
    n, folder = max(options.size(_N_SCANS), 10), options.out / "reports"
    measured = {(file_format, size): [] for file_format in FORMATS for size in (n // 10, n)}
    with (
        fresh_database("mysql", folder) as url,
        running(riskscan(options, folder, database_url=url)) as server,
    ):
        headers = token(server)
        since = _store(url, n)
        with httpx.Client(base_url=server.url, headers=headers, timeout=600) as client:
            for file_format in FORMATS:
                _request(client, file_format, since + timedelta(seconds=n - 1))
            for _, (file_format, size) in itertools.product(range(options.rounds), measured):
                began = since + timedelta(seconds=n - size)
                measured[file_format, size].append(_measure(server, client, file_format, began))
    return _result(measured, n)


def _store(url, n):
    """Insert n scans of the user, a second apart, with findings; return the time of the first."""
    engine, sentences, since = create_engine(url), endless(), datetime(2026, 1, 1, tzinfo=UTC)
    types = [(kind.key, c.key) for c in built_in().categories for kind in c.risk_types]
    with Session(engine) as session:
        user_id = session.scalars(select(User.id)).one()
        for i in range(n):
            scan = {
                "id": uuid_utils.compat.uuid7(),
                "user_id": user_id,
                "filename": f"Report {i}.pdf",
                "source": "model",
                "sensitivity": "balanced",
                "created_at": since + timedelta(seconds=i),
                "model_name": "riskscan-fast",
                "model_version": "1.3.1",
                "document_sha256": f"{i:064x}",
                "coverage": {"pages": 20, "sentences": 400, "characters": 48_000},
                "n_findings": _FINDINGS,
            }
            session.execute(insert(Scan), [scan])
            session.execute(insert(Finding), [*_findings(scan["id"], types, sentences)])
        session.commit()
    engine.dispose()
    return since


def _findings(scan_id, types, sentences):
    for n in range(1, _FINDINGS + 1):
        risk_type, category = types[n % len(types)]
        context = next(sentences)
        yield {
            "scan_id": scan_id,
            "n": n,
            "risk_type": risk_type,
            "category": category,
            "score": 0.5 + n / 50,
            "context": context,
            "start": 100 * n,
            "end": 100 * n + len(context),
            "page": n,
            "fingerprint": "",
        }


def _measure(server, client, file_format, since):
    """Return seconds until the end, processor seconds, the peak of memory above before (MiB), and bytes."""
    server.begin_peak()
    before_mb, cpu_s, began_s = server.peak_mb(), server.cpu_s(), time.perf_counter()
    n_bytes = _request(client, file_format, since)
    took_s = time.perf_counter() - began_s
    rise_mib = (server.peak_mb() - before_mb) * 1e6 / 2**20
    return took_s, server.cpu_s() - cpu_s, rise_mib, n_bytes


def _request(client, file_format, since):
    query = {"format": file_format, "created_from": since.isoformat()}
    n_bytes = 0
    with client.stream("GET", "/api/v1/reports", params=query) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_raw():
            n_bytes += len(chunk)
    return n_bytes


def _result(measured, n):
    rows = [
        (
            file_format,
            f"{size:,}",
            spread([took_s for took_s, *_ in rounds], digits=1),
            spread([cpu_s for _, cpu_s, *_ in rounds], digits=1),
            spread([rise for *_, rise, _ in rounds], digits=1),
            f"{rounds[-1][3] / 1e6:.2f}",
        )
        for (file_format, size), rounds in measured.items()
    ]
    head = ("format", "scans", "s", "processor s", "rise of the peak, MiB", "MB sent")
    took_s = {f: [took_s for took_s, *_ in measured[f, n]] for f in FORMATS}
    return Result(
        "reports",
        f"Reports of {n:,} scans with {n * _FINDINGS:,} findings on MariaDB",
        head,
        rows,
        {f"{f} {size}": rounds for (f, size), rounds in measured.items()},
        [bars(took_s, f"s until the end, {n:,} scans")],
        [],
    )
