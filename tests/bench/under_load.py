"""Overload: goodput at four times the best rate, and the latency of other requests beside a heavy load.

An open loop offers four times the best rate of a closed loop. While clients saturate the service, the ops
listener is polled; while it scans a document of 2 MB, texts of five sentences are scanned one after another.
"""

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from itertools import islice

from tests.bench.engine import AS_SERVED, bare_engine
from tests.bench.load import closed_loop, open_loop, percentiles
from tests.bench.over_http import (
    DOCUMENT_CLIENTS,
    DOCUMENTS,
    SCAN,
    SINGLE_CLIENTS,
    SINGLES,
    STORED,
    scan_requests,
)
from tests.bench.plots import bars
from tests.bench.results import Result, Target, median, spread
from tests.bench.sentences import Documents, endless
from tests.bench.servers import riskscan, running, tokens
from tests.support.databases import fresh_database
from tests.support.free_ports import free_port

TIMES_THE_BEST = 4
DEADLINE_S = 2.0
"""Within this time an answer is useful to its caller: the Retry-After of a refusal."""

_PATHS = {SCAN: "/scan", STORED: "/api/scan"}
_CLIENTS = (8, 16, 32)  # beyond 160 some are refused: 32 threads and 128 queued requests
_OPS = ("/health/ready", "/metrics")
_POLLS_PER_S = 40  # of each path: enough for a p99, and little beside the load
_HEAD = ("load", "per second", "p50 ms", "p95 ms", "p99 ms", "service cores", "generator cores")
_ALONE, _BESIDE = "five sentences alone", "five sentences beside 2 MB"
_N_PARAGRAPHS = 200
_DOCUMENT_CHARS = 2_000_000
_SENTENCES_PER_DOCUMENT = (
    _DOCUMENT_CHARS // 90
)  # sentences have 98 characters on average, so these are enough
_N_SENTENCES_OF_ENGINE = 1_000
# Above any measured rate per second, so that no load runs out of requests.
_MOST_DOCUMENTS_PER_S = 20
_MOST_SINGLES_PER_S = 2_500
_PATIENCE_S = 1_800.0


class _Bench:
    """A service under load, and texts that share no sentence."""

    def __init__(self, server, ops_port, options):
        self._server = server
        self._ops_port = ops_port
        self._options = options
        self._seconds = options.warm_s + options.seconds
        self._stream = endless()
        self._documents = Documents(self._stream)

    def closed(self, name, n_clients):
        """Return the Load of a closed loop of single sentences."""
        n = n_clients + int(_MOST_SINGLES_PER_S * self._seconds)
        requests = self._singles(name, n)
        return closed_loop(self._server, requests, self._options, n_clients=n_clients)

    def overload(self, name, per_s):
        """Return the OpenLoad of `per_s` single sentences a second."""
        requests = self._singles(name, 1 + round(per_s * self._seconds))
        return open_loop(self._server, requests, self._options, per_s=per_s, deadline_s=DEADLINE_S)

    def ops_beside_documents(self):
        """Return the Load of a closed loop of documents, and (ms, status) by path of the ops listener."""
        n = DOCUMENT_CLIENTS + int(_MOST_DOCUMENTS_PER_S * self._seconds)
        texts = [self._documents.next()[0] for _ in range(n)]
        return self._ops_beside(scan_requests(texts, "/scan"), n_clients=DOCUMENT_CLIENTS)

    def ops_beside_singles(self):
        """Return the Load of a closed loop of sentences, and (ms, status) by path of the ops listener."""
        n = SINGLE_CLIENTS + int(_MOST_SINGLES_PER_S * self._seconds)
        return self._ops_beside(self._singles(SCAN, n), n_clients=SINGLE_CLIENTS)

    def paragraphs(self):
        """Return the ms of scans of five sentences: alone, and during the scan of a long document."""
        n, beside = self._options.size(_N_PARAGRAPHS), []
        before = [self._scan_ms(self._paragraph()) for _ in range(n)]
        with ThreadPoolExecutor(1) as pool:
            while len(beside) < n:
                document = pool.submit(self._scan_ms, self._long_document())
                while not document.done():
                    took_ms = self._scan_ms(self._paragraph())
                    if not document.done():
                        beside.append(took_ms)
                document.result()
        return {_ALONE: before, _BESIDE: beside}

    def pass_ms(self):
        """Return the ms that the bare engine takes for a pass as large as the service's."""
        n, way = self._options.size(_N_SENTENCES_OF_ENGINE), AS_SERVED
        return bare_engine(self._options, list(islice(self._stream, n)), (way,))[way]["p50_ms"]

    def _singles(self, name, n):
        # New tokens each time: they expire after half an hour.
        headers = tokens(self._server, self._options.accounts) if name == STORED else ({},)
        return scan_requests(islice(self._stream, n), _PATHS[name], headers)

    def _paragraph(self):
        return " ".join(islice((s for s in self._stream if s.endswith(".")), 5))

    def _long_document(self):
        text, _ = self._documents.next(self._options.size(_SENTENCES_PER_DOCUMENT))
        return text[: self._options.size(_DOCUMENT_CHARS)]

    def _ops_beside(self, requests, *, n_clients):
        polls = []
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(
                closed_loop, self._server, requests, self._options, n_clients=n_clients
            )
            while not loading.done():
                began_s = time.perf_counter()
                polls += [(began_s, p, _timed_request(self._ops_port, "GET", p)) for p in _OPS]
                time.sleep(max(0.0, began_s + 1 / _POLLS_PER_S - time.perf_counter()))
        load = loading.result()
        start_s, end_s = load.window_s
        inside = [(path, poll) for began_s, path, poll in polls if start_s <= began_s < end_s]
        return load, {path: [poll for of, poll in inside if of == path] for path in _OPS}

    def _scan_ms(self, text):
        body = json.dumps({"text": text}).encode()
        headers = {"Content-Type": "application/json"}
        took_ms, status = _timed_request(self._server.port, "POST", "/scan", body, headers)
        if status != 200:
            raise RuntimeError(f"a scan was answered with {status}; {self._server.log}")
        return took_ms


def run(options):
    """Measure one service in rounds: closed loops, overload, ops listener, short texts."""
    folder, ops_port = options.out / "under-load", free_port()
    # On a slow machine 2 MB take longer than the default of 60 s.
    settings = {"OPS_PORT": ops_port, "AI_TIMEOUT_S": 600}
    with (
        fresh_database("mysql", folder) as url,
        running(riskscan(options, folder, database_url=url, **settings)) as server,
    ):
        bench = _Bench(server, ops_port, options)
        trials = {
            name: {n: bench.closed(name, n).answers_per_s for n in _CLIENTS} for name in _PATHS
        }
        best = {name: max(per_s, key=per_s.get) for name, per_s in trials.items()}
        rounds = [_round(bench, best) for _ in range(options.rounds)]
    return _result(rounds, trials)


def _round(bench, n_clients):
    """Return the Loads, OpenLoads and milliseconds of one round, by name."""
    loads, overloads, ops = {}, {}, {}
    for name in _PATHS:
        loads[name] = bench.closed(name, n_clients[name])
        overloads[name] = bench.overload(name, TIMES_THE_BEST * loads[name].answers_per_s)
    loads[DOCUMENTS], ops[DOCUMENTS] = bench.ops_beside_documents()
    loads[SINGLES], ops[SINGLES] = bench.ops_beside_singles()
    return {
        "loads": loads,
        "overloads": overloads,
        "ops": {f"{path} beside {load}": ops[load][path] for load in ops for path in _OPS},
        "pass_ms": bench.pass_ms(),
        "paragraphs_ms": bench.paragraphs(),
    }


def _timed_request(port, method, path, body=None, headers=None):
    """Return milliseconds and status of one request over a connection of its own."""
    began_s = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    with closing(connection):
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        answer.read()
    return 1000 * (time.perf_counter() - began_s), answer.status


def _result(rounds, trials):
    loads, overloads, ops, paragraphs_ms = (
        {name: [r[kind][name] for r in rounds] for name in rounds[0][kind]}
        for kind in ("loads", "overloads", "ops", "paragraphs_ms")
    )
    ops_ms = {name: [[ms for ms, _ in polls] for polls in some] for name, some in ops.items()}
    n_not_ok = sum(status != 200 for some in ops.values() for polls in some for _, status in polls)
    n_polls = min(len(ms) for some in ops_ms.values() for ms in some)
    singly_ms = ops_ms | paragraphs_ms
    rows = [_load_row(name, some) for name, some in loads.items()]
    rows += [row for name, some in overloads.items() for row in _overload_rows(name, some)]
    rows += [_singly_row(name, some) for name, some in singly_ms.items()]
    speeds = {name: [load.answers_per_s for load in loads[name]] for name in _PATHS}
    speeds |= {f"{n}, {TIMES_THE_BEST} times": _each(overloads[n], "goodput_per_s") for n in _PATHS}
    p99_ms = {name: [percentiles(ms)[2] for ms in some] for name, some in singly_ms.items()}
    p99_ms |= {f"{n}, refused": _nth(_each(overloads[n], "refused_ms"), 2) for n in _PATHS}
    return Result(
        name="under-load",
        title="Under load",
        head=_HEAD,
        rows=rows,
        figures={"tried_per_s": trials, "rounds": [_plain(r) for r in rounds]},
        panels=[bars(speeds, "answers/s"), bars(p99_ms, "p99, ms")],
        targets=[
            *(t for n in _PATHS for t in _overload_targets(n, loads[n], overloads[n])),
            *_ops_targets(ops_ms),
            Target("answers of OPS_PORT other than 200", n_not_ok, 0, is_limit=True),
            _paragraphs_target(paragraphs_ms, [r["pass_ms"] for r in rounds]),
        ],
        notes=(
            *(_tried_note(name, per_s) for name, per_s in trials.items()),
            *(_overload_note(name, some) for name, some in overloads.items()),
            f"each path of OPS_PORT was polled at least {n_polls} times beside each load of a round",
        ),
    )


def _plain(figures):
    loads = {
        kind: {n: asdict(x) for n, x in figures[kind].items()} for kind in ("loads", "overloads")
    }
    for load in loads["loads"].values():
        del load["samples"]
    return figures | loads


def _each(loads, figure):
    return [getattr(load, figure) for load in loads]


def _nth(triples, n):
    return [triple[n] for triple in triples]


def _load_row(name, loads):
    times = [spread(_each(loads, f"p{p}_ms"), 1) for p in (50, 95, 99)]
    return (name, spread(_each(loads, "answers_per_s")), *times, *_cores(loads))


def _overload_rows(name, loads):
    offered = f"{name}, {TIMES_THE_BEST} times that rate"
    refused_per_s = [load.offered_per_s * _refused_share(load) for load in loads]
    return [
        (
            f"{offered}: answered within {DEADLINE_S:g} s",
            spread(_each(loads, "goodput_per_s")),
            *_times(_each(loads, "accepted_ms")),
            *_cores(loads),
        ),
        (
            f"{offered}: refused",
            spread(refused_per_s),
            *_times(_each(loads, "refused_ms")),
            "",
            "",
        ),
    ]


def _singly_row(name, times_ms):
    return (name, "", *_times([percentiles(ms) for ms in times_ms]), "", "")


def _times(triples):
    return tuple(spread(_nth(triples, i), 1) for i in range(3))


def _cores(loads):
    return tuple(spread(_each(loads, f"{who}_cores"), 2) for who in ("server", "generator"))


def _refused_share(load):
    return load.n_refused / (load.n_accepted + load.n_refused + load.n_failed)


def _overload_targets(name, loads, overloads):
    pairs = list(zip(overloads, loads, strict=True))
    goodput = median([over.goodput_per_s / load.answers_per_s for over, load in pairs])
    refused_ms = median(_nth(_each(overloads, "refused_ms"), 2))
    n_late, n_failed = sum(_each(overloads, "n_late")), sum(_each(overloads, "n_failed"))
    at = f"{name} at {TIMES_THE_BEST} times the load"
    return [
        Target(f"{at}: goodput, as a share of the best,", goodput, 0.9),
        Target(f"{at}: p99 of a refusal, ms,", refused_ms, 100, is_limit=True),
        Target(f"{at}: answers after {DEADLINE_S:g} s", n_late, 0, is_limit=True),
        Target(f"{at}: requests neither answered nor refused", n_failed, 0, is_limit=True),
    ]


def _ops_targets(ops_ms):
    return [
        Target(
            f"p99 of {name}, ms,", median([percentiles(ms)[2] for ms in some]), 50, is_limit=True
        )
        for name, some in ops_ms.items()
    ]


def _paragraphs_target(paragraphs_ms, pass_ms):
    p95_ms = {
        name: median([percentiles(ms)[1] for ms in some]) for name, some in paragraphs_ms.items()
    }
    bound_ms = 3 * p95_ms[_ALONE] + median(pass_ms)
    return Target(f"p95 of {_BESIDE}, ms,", p95_ms[_BESIDE], bound_ms, is_limit=True)


def _tried_note(name, per_s):
    speeds = ", ".join(f"{speed:.0f} with {n} clients" for n, speed in per_s.items())
    return f"{name}, trials: {speeds} a second; the rounds use the fastest"


def _overload_note(name, loads):
    lag_ms = spread(_each(loads, "lag_p99_ms"), 1)
    refused = spread([100 * _refused_share(load) for load in loads])
    return (
        f"{name} at {TIMES_THE_BEST} times the load: {refused} % refused; "
        f"the generator sent {lag_ms} ms late (p99)"
    )
