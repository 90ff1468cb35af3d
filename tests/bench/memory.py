"""Resident memory over 10,000 mixed scans: notes, documents and files, stored or not; reports the slope."""

import random
import secrets
import threading
import time
from itertools import islice

import numpy as np

from tests.bench.load import Request, json_request, send
from tests.bench.plots import lines
from tests.bench.results import Result
from tests.bench.sentences import Documents, endless
from tests.bench.servers import riskscan, running, token
from tests.support.databases import fresh_database
from tests.support.documents import docx_of, pdf_of_pages

_N_SCANS = 10_000
_N_CLIENTS = 8
_POLL_S = 1.0
# The score cache (CACHE_SENTENCES, 50,000 sentences) is full after 4,500 of the scans.
_WARM_SHARE = 0.5
_SEED = 7


def run(options):
    """Send the scans, and sample the service's memory every second."""
    folder = options.out / "memory"
    with (
        fresh_database("mysql", folder) as url,
        running(riskscan(options, folder, database_url=url)) as server,
    ):
        requests = _mixed(options.size(_N_SCANS), token(server))
        samples, over = [], threading.Event()
        watcher = threading.Thread(target=_watch, args=(server, samples, over))
        watcher.start()
        try:
            load = send(server, requests, options, n_clients=_N_CLIENTS)
        finally:
            over.set()
            watcher.join()
        samples.append((time.perf_counter(), server.resident_mb()))
    ended_s = np.sort([ended for _, ended, _ in load["answers"]])
    n_scans = [int(np.searchsorted(ended_s, at_s)) for at_s, _ in samples]
    return _result(n_scans, [mb for _, mb in samples])


def _watch(server, samples, over):
    while not over.wait(_POLL_S):
        samples.append((time.perf_counter(), server.resident_mb()))


def _mixed(n, headers):
    rng, stream = random.Random(_SEED), endless()
    documents = Documents(stream)
    kinds = {
        lambda: json_request("/scan", {"text": documents.next(5)[0]}): 60,
        lambda: json_request("/api/scan", {"text": next(stream)}, **headers): 20,
        lambda: json_request("/api/scan", {"text": documents.next(20)[0]}, **headers): 12,
        lambda: json_request("/scan", {"text": documents.next()[0]}): 5,
        lambda: _file(
            "note.pdf", pdf_of_pages([_plain(stream, 10), _plain(stream, 10)]), headers
        ): 2,
        lambda: _file("note.docx", docx_of(_plain(stream, 20)), headers): 1,
    }
    return [make() for make in rng.choices(list(kinds), list(kinds.values()), k=n)]


def _plain(stream, n):
    """Return `n` sentences that the core PDF fonts can write."""
    return list(islice((s for s in stream if s.isascii()), n))


def _file(name, content, headers):
    boundary = secrets.token_hex(16)
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return Request("/api/scan", body, {**kind, **headers})


def _result(n_scans, resident_mb):
    x, y = np.array(n_scans, float), np.array(resident_mb)
    later = x >= _WARM_SHARE * x.max()
    slope, error = _slope(x[later], y[later])
    rows = [
        (f"{share:.0%}", f"{x[i]:,.0f}", f"{y[i]:.0f}")
        for share in (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
        for i in [int(np.searchsorted(x, share * x.max()))]
    ]
    return Result(
        name="memory",
        title=f"Memory over {x.max():,.0f} mixed scans",
        head=("of the scans", "scans", "resident, MB"),
        rows=rows,
        figures={
            "n_scans": n_scans,
            "resident_mb": resident_mb,
            "slope_mb_per_1000": slope,
            "error": error,
        },
        panels=[lines({"": (n_scans, resident_mb)}, xlabel="scans", ylabel="resident, MB")],
        targets=[],
        notes=(f"slope over the second half: {slope:.2f} +- {error:.2f} MB per 1,000 scans",),
    )


def _slope(x, y):
    """Return MB per 1,000 scans and its standard error."""
    if len(x) < 4:
        return float("nan"), float("nan")
    (slope, _), covariance = np.polyfit(x / 1000, y, 1, cov=True)
    return float(slope), float(np.sqrt(covariance[0, 0]))
