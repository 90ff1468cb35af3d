"""HTTP end to end: documents and single sentences, from many clients and from one, beside the bare engine.

POST /scan stores nothing; POST /api/scan is authenticated and stores in MariaDB.
"""

from itertools import cycle, islice

from tests.bench.engine import ONE_BY_ONE, bare_engine, best_sorted
from tests.bench.load import closed_loop, json_request
from tests.bench.plots import bars
from tests.bench.results import Result, Target, median, spread
from tests.bench.sentences import SENTENCES_PER_DOCUMENT, Documents, endless
from tests.bench.servers import riskscan, running, tokens
from tests.support.databases import fresh_database

DOCUMENT_CLIENTS = 8
SINGLE_CLIENTS = 32
# Above any measured rate per second, so that no load runs out of requests.
_MOST_DOCUMENTS_PER_S = 30
_MOST_SINGLES_PER_S = 2_500

SCAN, STORED = "POST /scan", "POST /api/scan"
DOCUMENTS = f"documents, {DOCUMENT_CLIENTS} clients"
SINGLES = f"sentences, {SINGLE_CLIENTS} clients"
ONE_DOCUMENT = "documents, 1 client"
ONE_SINGLE = "sentences, 1 client"
_CLIENTS = {DOCUMENTS: 8, SINGLES: 32, ONE_DOCUMENT: 1, ONE_SINGLE: 1}
_PATHS = {SCAN: "/scan", STORED: "/api/scan"}


class Supply:
    """Texts that no server has received yet: documents of 100 sentences, and single sentences."""

    def __init__(self, options):
        self._seconds = options.warm_s + options.seconds
        self._stream = endless()
        self._documents = Documents(self._stream)

    def documents(self):
        """Return more documents, as text and sentences, than one load can take."""
        n = DOCUMENT_CLIENTS + int(_MOST_DOCUMENTS_PER_S * self._seconds)
        return [self._documents.next() for _ in range(n)]

    def singles(self, n=None):
        """Return n sentences, by default more than one load can take."""
        return list(
            islice(self._stream, n or SINGLE_CLIENTS + int(_MOST_SINGLES_PER_S * self._seconds))
        )


def run(options):
    """Load the service in rounds; each round measures the bare engine too."""
    folder = options.out / "over-http"
    supply = Supply(options)
    with (
        fresh_database("mysql", folder) as url,
        running(riskscan(options, folder, database_url=url)) as server,
    ):
        rounds = [_round(server, supply, options) for _ in range(options.rounds)]
    return _result(rounds)


def scan_requests(texts, path, headers=({},)):
    """Return a POST to `path` for each text, with each of `headers` in turn."""
    pairs = zip(texts, cycle(headers))
    return [json_request(path, {"text": text}, **some) for text, some in pairs]


def _round(server, supply, options):
    # New tokens each round: they expire after half an hour.
    accounts = tokens(server, options.accounts)
    documents = supply.documents()
    figures = {"engine": bare_engine(options, [s for _, some in documents[:10] for s in some])}
    for kind, n_clients in _CLIENTS.items():
        for name, path in _PATHS.items():
            is_document = kind in {DOCUMENTS, ONE_DOCUMENT}
            texts = [text for text, _ in documents] if is_document else supply.singles()
            requests = scan_requests(texts, path, accounts if name == STORED else ({},))
            load = closed_loop(server, requests, options, n_clients=n_clients)
            figures[f"{kind}, {name}"] = summary(load, SENTENCES_PER_DOCUMENT if is_document else 1)
            if is_document:
                documents = supply.documents()
    return figures


def summary(load, sentences_per_answer):
    """Return the figures of a load, without its samples."""
    return {
        "sentences_per_s": load.answers_per_s * sentences_per_answer,
        "answers_per_s": load.answers_per_s,
        "n_answers": load.n_answers,
        "p50_ms": load.p50_ms,
        "p95_ms": load.p95_ms,
        "p99_ms": load.p99_ms,
        "server_cores": load.server_cores,
        "generator_cores": load.generator_cores,
    }


def _result(rounds):
    names = [name for name in rounds[0] if name != "engine"]
    columns = {
        name: {key: [r[name][key] for r in rounds] for key in rounds[0][name]} for name in names
    }
    engine = [best_sorted(r["engine"]) for r in rounds]
    single_ms = [r["engine"][ONE_BY_ONE]["p50_ms"] for r in rounds]
    rows = [
        (
            name,
            spread(c["sentences_per_s"]),
            *(spread(c[key], 1) for key in ("p50_ms", "p95_ms", "p99_ms")),
            spread(c["server_cores"], 2),
            spread(c["generator_cores"], 2),
        )
        for name, c in columns.items()
    ]
    rows.append(("the bare engine, sorted batches", spread(engine), "", "", "", "", ""))
    rows.append(("the bare engine, one by one", "", spread(single_ms, 2), "", "", "", ""))
    speeds = {name: c["sentences_per_s"] for name, c in columns.items()}
    return Result(
        name="over-http",
        title="HTTP end to end",
        head=(
            "load",
            "sentences/s",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            "service cores",
            "generator cores",
        ),
        rows=rows,
        figures={"rounds": rounds},
        panels=[bars({**speeds, "bare engine, sorted batches": engine}, "sentences/s")],
        targets=_targets(columns, engine, single_ms),
    )


def _targets(columns, engine, single_ms):
    documents = columns[f"{DOCUMENTS}, {SCAN}"]["sentences_per_s"]
    share = median([a / b for a, b in zip(documents, engine, strict=True)])
    targets = [Target("documents over HTTP, as a share of the bare engine,", share, 0.75)]
    for name, extra_ms in ((SCAN, 3.0), (STORED, 6.0)):
        p50_ms = median(columns[f"{ONE_SINGLE}, {name}"]["p50_ms"])
        bound = 1.5 * median(single_ms) + extra_ms
        targets.append(Target(f"p50 of one client at {name}, ms,", p50_ms, bound, is_limit=True))
    return targets
