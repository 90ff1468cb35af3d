"""Search among 100,000 findings of one user in a database of a million: times, plans, memory; and recall.

The findings are sentences of ml/data, each scan has twenty. Recall is measured on another, small database:
the questions of search_queries.jsonl over the risk sentences of the files that they name, which trained no
model.
"""

import contextlib
import functools
import json
import statistics
import time
from dataclasses import dataclass

import numpy as np
import uuid_utils.compat
from sqlalchemy import create_engine, event, insert
from sqlalchemy.orm import Session

from db import migrate
from db.queries import search as queries
from db.queries.findings import FindingFilter, Viewer
from db.queries.reach import EVERYONE, own
from db.queries.users import add_user
from db.tables import SearchOwner
from service.config.settings import load
from service.domain.search.candidates import CANDIDATES
from service.domain.search.listing import list_findings
from service.domain.search.matrix import stored_parts
from service.domain.search.terms import Kind, stems, stored_terms, wanted_terms
from service.domain.search.values import Question, Reader
from service.domain.search.vector_cache import VectorCache
from service.domain.services import build_services
from tests.bench.plots import bars
from tests.bench.results import Result, Target, spread
from tests.bench.search_recall import DATA, recall
from tests.bench.search_rows import PER_SCAN, finding_row, scan_row, store
from tests.support.databases import fresh_database

ONE, ALL = 100_000, 1_000_000
_N_ENCODED = 4_000
_N_REQUESTS = 20
_LIMIT_MS = 200.0
_AT_ONCE = 2_000
TEXTS = {
    "a rare word": "hydrazine",
    "a common word": "system",
    "three common words": "contract data year",
    "a question": "which suppliers may go bankrupt before delivery?",
}


def run(options):
    """Fill both databases, then search and list in each; measure recall."""
    n_one, n_all = options.size(ONE), options.size(ALL)
    rows, figures, targets = [], {}, []
    for backend in ("sqlite", "mysql"):
        folder = options.out / "search" / backend
        folder.mkdir(parents=True, exist_ok=True)
        with fresh_database(backend, folder) as url, _services(url, folder) as services:
            owner = _fill(services, n_one, n_all)
            measured = _measured(services, owner)
            figures[backend] = measured
            rows += [
                (backend, what, spread(_thirds(ms), 1)) for what, ms in measured["took_ms"].items()
            ]
            targets += [
                Target(f"{backend}, {what}: ms", statistics.median(ms), _LIMIT_MS, is_limit=True)
                for what, ms in measured["took_ms"].items()
                if what.startswith("search")
            ]
    with fresh_database("sqlite", options.out) as url, _services(url, options.out) as services:
        figures["recall"] = recall(services)
    return Result(
        name="search",
        title=f"Search among {n_one:,} findings of one user, {n_all:,} in all",
        head=("database", "what", "ms"),
        rows=rows,
        figures=figures,
        panels=[
            bars({f"{b}: {w}": _thirds(ms) for w, ms in figures[b]["took_ms"].items()}, "ms")
            for b in ("sqlite", "mysql")
        ],
        targets=targets,
        notes=_notes(figures),
    )


@contextlib.contextmanager
def _services(url, folder):
    migrate.upgrade(url)
    settings = {"DATABASE_URL": url, "DATA_DIR": str(folder), "DEVICE": "cpu"}
    with build_services(load(settings)) as services:
        yield services


@functools.cache
def _sentences():
    """Return the distinct sentences of the training files that state a risk, with words of their own."""
    texts = {}
    for path in sorted(DATA.glob("authored-*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry["labels"]:
                texts[entry["text"]] = None
    return list(texts)


@dataclass(frozen=True, slots=True)
class _Supply:
    """Sentences, the stems of their words, and vectors of some."""

    texts: list[str]
    words: list[list[str]]
    vectors: np.ndarray


def _fill(services, n_one, n_all):
    """Store the findings of ten users, of whom the first has `n_one`; return the first."""
    encoder = services.analyzers.default.encoder
    texts = _sentences()
    supply = _Supply(texts, [stems(text) for text in texts], encoder.vectors(texts[:_N_ENCODED]))
    n_others = 9
    counts = [n_one, *[(n_all - n_one) // n_others] * n_others]
    owners = []
    for k, n in enumerate(counts):
        owner = services.transactions.run(
            lambda s, k=k: add_user(s, email=f"{k}@corp.local", password_hash="argon2").id
        )
        owners.append(owner)
        _fill_user(services, owner, n, supply)
    engine = _engine(services).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        tables = ("scans", "findings", "search_words", "search_vectors")
        for statement in ["ANALYZE"] if is_sqlite else [f"ANALYZE TABLE {t}" for t in tables]:
            connection.exec_driver_sql(statement)
    return owners[0]


def _engine(services):
    return create_engine(services.config.database_url)


def _fill_user(services, owner, n, supply):
    random = np.random.default_rng(n)
    scans, findings, terms, vectors = [], [], [], []
    n_scans = max(1, n // PER_SCAN)
    for k in range(n_scans):
        scan_id = uuid_utils.compat.uuid7()
        picks = random.integers(0, len(supply.texts), PER_SCAN)
        scans.append(scan_row(owner, scan_id, k))
        for number, pick in enumerate(picks, start=1):
            findings.append(finding_row(scan_id, number, supply.texts[pick]))
            listed = stored_terms(Kind.FINDING, owner, supply.words[pick])
            terms.append({"scan_id": scan_id, "n": number, "document_id": None, "words": listed})
        near = supply.vectors[picks % len(supply.vectors)]
        near = near + random.normal(0, 0.02, near.shape)
        [(categories, data)] = stored_parts(near.astype(np.float32), ["financial"] * PER_SCAN)
        same = {"user_id": owner, "scan_id": scan_id, "part": 0, "revision": 1}
        vectors.append(
            {**same, "model": _model(services), "categories": categories, "vectors": data}
        )
        if len(scans) * PER_SCAN >= _AT_ONCE or k == n_scans - 1:
            services.transactions.run(store, scans, findings, terms, vectors)
            scans, findings, terms, vectors = [], [], [], []
    services.transactions.run(
        lambda s: s.execute(insert(SearchOwner).values(user_id=owner, revision=1)).close()
    )


def _model(services):
    return services.analyzers.default.encoder.model


def _measured(services, owner):
    """Return times, plans, the memory of the vectors, and the time to read them."""
    reach, viewer = own(owner), Viewer(own(owner), owner)
    reader = Reader(reach, viewer)
    search, read = services.search, services.transactions.read
    encoder = services.analyzers.default.encoder
    began_s = time.perf_counter()
    vectors = read(VectorCache().get, owner, encoder.model, encoder.size)
    took = {"read the vectors, once": [1000 * (time.perf_counter() - began_s)]}
    plans = {}
    for what, text in TEXTS.items():
        terms = wanted_terms(Kind.FINDING, [owner], stems(text))
        by_words = functools.partial(
            queries.findings_by_words, terms=terms, reach=reach, category=None, limit=CANDIDATES
        )
        question = Question(text, frozenset(Kind), 20)
        vector = encoder.vectors([text])[0]
        took[f"words alone: {what}"] = _times(lambda q=by_words: read(q))
        took[f"meaning alone: {what}"] = _times(
            lambda v=vector: vectors.nearest(v, limit=CANDIDATES)
        )
        took[f"search, both: {what}"] = _times(
            lambda q=question: search.search(reader, q, taxonomy=services.taxonomy)
        )
        plans[f"words: {what}"] = _plan(services, by_words)
    took["search, both, one category"] = _times(
        lambda: search.search(
            reader,
            Question(TEXTS["a common word"], frozenset(Kind), 20, "financial"),
            taxonomy=services.taxonomy,
        )
    )
    _search_everyones(services, took, plans)
    _list(services, reader, took, plans)
    return {
        "took_ms": took,
        "plans": plans,
        "n_vectors": len(vectors),
        "vector_bytes": vectors.n_bytes,
    }


def _search_everyones(services, took, plans):
    """Add the times and plans of a reviewer's searches in everyone's findings."""
    reader = Reader(EVERYONE, Viewer(EVERYONE, None))
    for what, text in TEXTS.items():
        terms = wanted_terms(Kind.FINDING, [None], stems(text))
        by_words = functools.partial(
            queries.findings_by_words, terms=terms, reach=EVERYONE, category=None, limit=CANDIDATES
        )
        question = Question(text, frozenset(Kind), 20)
        took[f"reviewer, words alone: {what}"] = _times(
            lambda q=by_words: services.transactions.read(q)
        )
        took[f"reviewer, both: {what}"] = _times(
            lambda q=question: services.search.search(reader, q, taxonomy=services.taxonomy)
        )
        plans[f"reviewer, words: {what}"] = _plan(services, by_words)


def _list(services, reader, took, plans):
    """Add the times and plans of the list with different filters."""
    for what, filters in {
        "first page": FindingFilter(),
        "by word": FindingFilter(words=("hydrazine",)),
        "by risk type": FindingFilter(risk_type="tight-budget"),
        "by verdict": FindingFilter(is_open=True),
    }.items():
        listed = functools.partial(
            list_findings,
            reach=reader.reach,
            viewer=reader.viewer,
            filters=filters,
            taxonomy=services.taxonomy,
            limit=51,
            after=None,
        )
        took[f"list, {what}"] = _times(lambda q=listed: services.transactions.read(q))
        plans[f"list, {what}"] = _plan(services, listed, first=True)


def _times(work):
    work()
    times_ms = []
    for _ in range(_N_REQUESTS):
        began_s = time.perf_counter()
        work()
        times_ms.append(1000 * (time.perf_counter() - began_s))
    return times_ms


def _plan(services, query, *, first=False):
    """Return the plan of the last (or first) statement of a query, a line for each step."""
    sent, engine = [], _engine(services)

    def record(_connection, _cursor, statement, parameters, *_):
        if statement.lstrip().upper().startswith("SELECT"):
            sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", record)
    with Session(engine) as session:
        query(session)
    event.remove(engine, "before_cursor_execute", record)
    statement, parameters = sent[0 if first else -1]
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(explain + statement, parameters).all()
    return [" ".join(str(value) for value in row) for row in rows]


def _notes(figures):
    recall = figures["recall"]
    shares = ", ".join(f"{way} {recall[way]:.2f}" for way in ("words", "meaning", "both"))
    about = f"{recall['n_questions']} questions over {recall['n_sentences']:,} sentences"
    notes = [f"recall@10 of {about}: {shares}", f"least cosines: {recall['bounds']}"]
    for backend in ("sqlite", "mysql"):
        of = figures[backend]
        notes.append(
            f"{backend}: {of['n_vectors']:,} vectors take {of['vector_bytes'] / 1e6:.1f} MB"
        )
        slowest = {
            who: max(ms for what, all_ms in of["took_ms"].items() if who in what for ms in all_ms)
            for who in ("search, both", "reviewer, both")
        }
        notes += [f"{backend}, slowest of {who}: {ms:.0f} ms" for who, ms in slowest.items()]
        notes += [f"{backend}, {what}: {'; '.join(plan)}" for what, plan in of["plans"].items()]
    return tuple(notes)


def _thirds(values):
    """Return the medians of the first, second and last third of the requests."""
    third = max(1, len(values) // 3)
    return [statistics.median(values[i * third : (i + 1) * third] or values) for i in range(3)]
