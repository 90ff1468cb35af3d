"""Listing 20 scans of 1,000 and of 1,000,000 in MariaDB: times and query plans."""

import contextlib
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import httpx
from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.orm import Session

from db.queries import scans as queries
from db.queries.reach import own
from db.tables import User
from service.api.http.pagination import encode_cursor
from service.domain.limits import COUNTED_SCANS
from tests.bench.plots import bars
from tests.bench.results import Result, Target, spread
from tests.bench.servers import riskscan, running, token
from tests.support.databases import fresh_database

FEW, MANY = 1_000, 1_000_000
_N_AMONG = 100
_OWN, _AMONG = "all their own", f"{_N_AMONG} among others'"
_PER_PAGE = 20
_N_REQUESTS = 50
_WAYS = ("first page", "second page, by cursor", "half-way, by cursor")
_TOTAL = "total of the first page"
_INDEX = queries.NEWEST_FIRST
_STORE = """
INSERT INTO scans (id, user_id, source, sensitivity, created_at, model_name, model_version,
                   document_sha256, coverage, n_findings)
SELECT LOWER(CONCAT(LPAD(HEX(i), 12, '0'), RIGHT(:user_id, 20))), :user_id,
       'model', 'balanced', :now - INTERVAL (:n - i) SECOND,
       'riskscan-minilm', '1.3.0', SHA2(i, 256), '{"characters": 31, "sentences": 1}', 2
FROM (WITH RECURSIVE k AS (SELECT 0 AS x UNION ALL SELECT x + 1 FROM k WHERE x < 999)
      SELECT a.x * 1000000 + b.x * 1000 + c.x AS i FROM k a, k b, k c
      WHERE a.x <= :n DIV 1000000 AND b.x <= :n DIV 1000) numbers
WHERE i < :n
"""


@dataclass(frozen=True, slots=True)
class _Account:
    """A user of one of the two databases; `positions` are where their pages begin."""

    case: str
    n: int
    engine: Engine
    user_id: UUID
    client: httpx.Client
    positions: dict[str, tuple[datetime, UUID] | None]


def run(options):
    """Store the scans, then list them through the API, all accounts and pages in turn."""
    few = max(options.size(FEW), 4 * _PER_PAGE)
    sizes = (few, max(options.size(MANY), few + 1))
    with contextlib.ExitStack() as stack:
        accounts = [
            account
            for n in sizes
            for account in _accounts(stack, options, options.out / "listing" / f"{n}", n)
        ]
        took_ms = _timed(accounts)
        plans = {
            (way, account.case, account.n): plan
            for account in accounts
            for way, plan in _plans(account).items()
        }
    return _result(took_ms, plans, sizes)


def _accounts(stack, options, folder, n):
    """Serve a database where one user owns n scans, and another a hundred more."""
    url = stack.enter_context(fresh_database("mysql", folder))
    server = stack.enter_context(running(riskscan(options, folder, database_url=url)))
    engine = create_engine(url)
    stack.callback(engine.dispose)
    for case, size in ((_OWN, n), (_AMONG, min(n, _N_AMONG))):
        headers = token(server)
        with Session(engine) as session:
            user_id = session.scalars(select(User.id).order_by(User.created_at.desc())).first()
        _store(engine, user_id, size)
        client = httpx.Client(base_url=server.url, headers=headers, timeout=120)
        stack.enter_context(client)
        yield _Account(case, n, engine, user_id, client, _positions(engine, user_id, size))


def _store(engine, user_id: UUID, n):
    """Insert n scans of a user, a second apart, without findings: the listing reads none."""
    values = {"user_id": user_id.hex, "n": n, "now": datetime.now(UTC)}
    with engine.begin() as connection:
        connection.execute(text(_STORE), values)
    with engine.begin() as connection:
        connection.execute(text("ANALYZE TABLE scans"))


def _positions(engine, user_id, n):
    positions = {_WAYS[0]: None}
    with Session(engine) as session:
        for way, offset in zip(_WAYS[1:], (_PER_PAGE - 1, n // 2), strict=True):
            [last] = queries.list_scans_page(session, own(user_id), limit=1, offset=offset)
            positions[way] = (last.created_at, last.id)
    return positions


def _timed(accounts):
    """Return the milliseconds of each request, by page, account and number of scans."""
    times_ms = {(way, a.case, a.n): [] for way in _WAYS for a in accounts}
    for _ in range(_N_REQUESTS):
        for account in accounts:
            for way, position in account.positions.items():
                query = {"cursor": encode_cursor(*position)} if position else {}
                times_ms[way, account.case, account.n].append(_page_ms(account.client, query))
    return times_ms


def _page_ms(client, query):
    began_s = time.perf_counter()
    answer = client.get("/api/scans", params={"per_page": _PER_PAGE, **query})
    took_ms = 1000 * (time.perf_counter() - began_s)
    n_items = len(answer.raise_for_status().json()["items"])
    if n_items != _PER_PAGE:
        raise RuntimeError(f"the page has {n_items} scans, not {_PER_PAGE}")
    return took_ms


def _plans(account):
    """Return the query plans of the statements that the service lists with."""
    engine, user_id, limit = account.engine, account.user_id, _PER_PAGE + 1
    plans = {
        way: _explain(
            engine, lambda s, at=at: queries.list_scans(s, own(user_id), limit=limit, after=at)
        )
        for way, at in account.positions.items()
    }
    plans[_TOTAL] = _explain(
        engine, lambda s: queries.count_scans(s, own(user_id), at_most=COUNTED_SCANS)
    )
    return plans


def _explain(engine, way):
    sent = []

    def record(_connection, _cursor, statement, parameters, *_):
        sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", record)
    with Session(engine) as session:
        way(session)
        event.remove(engine, "before_cursor_execute", record)
        plan = session.connection().exec_driver_sql(f"EXPLAIN {sent[-1][0]}", sent[-1][1])
        return [dict(row) for row in plan.mappings()]


def _result(took_ms, plans, sizes):
    rows = []
    for (way, case, n), plan in plans.items():
        values = took_ms.get((way, case, n))
        keys = ", ".join(step["key"] for step in plan if step["key"])
        extra = "; ".join(step["Extra"] for step in plan if step["Extra"])
        rows.append(
            (way, case, f"{n:,}", spread(_thirds(values), 2) if values else "", keys, extra)
        )
    middle = {at: statistics.median(values) for at, values in took_ms.items()}
    few, many = sizes
    return Result(
        name="listing",
        title=f"Listing {_PER_PAGE} scans with {few:,} and with {many:,}, the user's own or others'",
        head=("page", "whose", "scans", "ms", "index", "extra"),
        rows=rows,
        figures={
            "took_ms": {f"{way}, {case} {n}": v for (way, case, n), v in took_ms.items()},
            "plans": {", ".join(map(str, at)): plan for at, plan in plans.items()},
        },
        panels=[bars({f"{w}, {c} {n:,}": _thirds(v) for (w, c, n), v in took_ms.items()}, "ms")],
        targets=[
            Target(
                f"{way}: ms with {many:,} scans over ms with {few:,}, {case}",
                middle[way, case, many] / middle[way, case, few],
                2.0,
                is_limit=True,
            )
            for way in _WAYS
            for case in (_OWN, _AMONG)
        ],
        notes=(
            f"{sum(map(_is_sound, plans.values()))} of {len(plans)} plans read {_INDEX} and sort nothing",
        ),
    )


def _is_sound(plan):
    return any(s["key"] == _INDEX for s in plan) and "filesort" not in " ".join(
        s["Extra"] or "" for s in plan
    )


def _thirds(values):
    """Return the medians of the first, second and last third of the requests."""
    third = max(1, len(values) // 3)
    return [statistics.median(values[i * third : (i + 1) * third]) for i in range(3)]
