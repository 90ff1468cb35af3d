"""Listing 20 scans of a user with 1,000 and of one with 1,000,000, in MariaDB, with the query's plan."""

import json
import statistics
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import uuid_utils.compat
from sqlalchemy import create_engine, event, insert, select, text
from sqlalchemy.orm import Session

from db.models import Scan, User
from db.queries import scans as queries
from tests.bench.plots import bars
from tests.bench.results import Result, Target, shown
from tests.bench.servers import riskscan, running, token
from tests.databases import fresh_database

FEW, MANY = 1_000, 1_000_000
_PER_PAGE = 20
_AT_ONCE = 2_000
_N_LOOKS = 50


def run(options):
    """Store the scans, then list through the API in turns, page by page number and by cursor."""
    folder = options.out / "listing"
    few = max(options.size(FEW), 2 * _PER_PAGE)
    sizes = (few, max(options.size(MANY), few + 1))
    with fresh_database("mysql", folder) as url:
        with running(riskscan(options, folder, database_url=url)) as server:
            users = [token(server) for _ in sizes]
            engine = create_engine(url)
            for user_id, n in zip(_user_ids(engine), sizes, strict=True):
                _store(engine, user_id, n)
            took_ms = _timed(server, users, sizes)
        plans = {n: _plan(engine, u) for n, u in zip(sizes, _user_ids(engine), strict=True)}
        engine.dispose()
    return _result(took_ms, plans, sizes)


def _user_ids(engine):
    with Session(engine) as session:
        return list(session.scalars(select(User.id).order_by(User.created_at)))


def _store(engine, user_id: UUID, n):
    """Insert n scans of a user, a second apart; they have no findings, which the listing does not read."""
    now = datetime.now(UTC)
    found = [{"risk": "Budget", "category": "Budget", "context": "The budget is too small for it."}]
    with engine.begin() as connection:
        for begin in range(0, n, _AT_ONCE):
            rows = [
                {
                    "id": uuid_utils.compat.uuid7(),
                    "user_id": user_id,
                    "data": 2 * found,
                    "source": "model",
                    "sensitivity": "balanced",
                    "created_at": now - timedelta(seconds=n - i),
                    "model_name": "riskscan-minilm",
                    "model_version": "1.2.0",
                    "document_sha256": f"{i:064x}",
                    "coverage": {"characters": 31, "sentences": 1, "truncated": False},
                    "n_findings": 2,
                }
                for i in range(begin, min(n, begin + _AT_ONCE))
            ]
            connection.execute(insert(Scan), rows)
    with engine.begin() as connection:
        connection.execute(text("ANALYZE TABLE scans"))


def _timed(server, users, sizes):
    """Return milliseconds of each look, by way and number of scans."""
    found = {(way, n): [] for way in ("first page", "by cursor") for n in sizes}
    with httpx.Client(base_url=server.url, timeout=120) as client:
        cursors = [_page(client, headers, {})[1]["next_cursor"] for headers in users]
        for _ in range(_N_LOOKS):
            for headers, cursor, n in zip(users, cursors, sizes, strict=True):
                found["first page", n].append(_page(client, headers, {})[0])
                found["by cursor", n].append(_page(client, headers, {"cursor": cursor})[0])
    return found


def _page(client, headers, query):
    began_s = time.perf_counter()
    answer = client.get("/api/scans", params={"per_page": _PER_PAGE, **query}, headers=headers)
    took_ms = 1000 * (time.perf_counter() - began_s)
    page = answer.raise_for_status().json()
    if len(page["items"]) != _PER_PAGE:
        raise RuntimeError(f"the page has {len(page['items'])} scans, not {_PER_PAGE}")
    return took_ms, page


def _plan(engine, user_id):
    """Return what the database says of the statements that the service lists with."""
    ways = {
        "first page": lambda s: queries.list_scans_page(s, user_id, limit=_PER_PAGE + 1, offset=0),
        "total of the first page": lambda s: queries.count_scans(s, user_id),
        "by cursor": lambda s: queries.list_scans(
            s, user_id, limit=_PER_PAGE + 1, after=(datetime.now(UTC), user_id)
        ),
    }
    return {name: _explained(engine, way) for name, way in ways.items()}


def _explained(engine, way):
    sent = []

    def remember(_connection, _cursor, statement, parameters, *_):
        sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", remember)
    with Session(engine) as session:
        way(session)
        event.remove(engine, "before_cursor_execute", remember)
        plan = session.connection().exec_driver_sql(f"EXPLAIN {sent[-1][0]}", sent[-1][1])
        return [dict(row) for row in plan.mappings()]


def _result(took_ms, plans, sizes):
    rows = []
    for (way, n), values in took_ms.items():
        steps = plans[n][way]
        keys = ", ".join(str(step["key"]) for step in steps)
        extra = "; ".join(str(step["Extra"]) for step in steps)
        rows.append((way, f"{n:,}", shown(_thirds(values), 2), keys, extra))
    rows += [
        (
            "total of the first page",
            f"{n:,}",
            "",
            *(str(plans[n]["total of the first page"][0][k]) for k in ("key", "Extra")),
        )
        for n in sizes
    ]
    middle = {at: statistics.median(values) for at, values in took_ms.items()}
    few, many = sizes
    used = all(
        s["key"] == "ix_scans_user_id_created_at_id"
        for n in sizes
        for w in ("first page", "by cursor")
        for s in plans[n][w]
    )
    return Result(
        name="listing",
        title=f"Listing {_PER_PAGE} scans of a user who has {few:,} and of one who has {many:,}",
        head=("page", "scans", "ms", "index", "extra"),
        rows=rows,
        figures={
            "took_ms": {f"{way}, {n}": values for (way, n), values in took_ms.items()},
            "plans": json.loads(json.dumps(plans, default=str)),
        },
        panels=[bars({f"{way}, {n:,}": _thirds(v) for (way, n), v in took_ms.items()}, "ms")],
        targets=[
            Target(
                f"{way}: ms with {many:,} scans over ms with {few:,}",
                middle[way, many] / middle[way, few],
                2.0,
                is_limit=True,
            )
            for way in ("first page", "by cursor")
        ],
        notes=(
            f"the plan {'uses' if used else 'DOES NOT use'} ix_scans_user_id_created_at_id for every page",
        ),
    )


def _thirds(values):
    """Return the medians of the first, second and last third of the looks."""
    third = max(1, len(values) // 3)
    return [statistics.median(values[i * third : (i + 1) * third]) for i in range(3)]
