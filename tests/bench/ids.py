"""Ids as CHAR(32), in UTF-8 or ASCII, and as BINARY(16) on MySQL: time of inserts and lookups, and size.

Run: RISKSCAN_TEST_MYSQL_URL=... python -m tests.bench.ids --scans 1000000

Data: scans of 1,000 users in the order of their ids (UUIDv7), each with three findings of 90 characters and
one audit event. The server generates the rows from a table of prepared ids, so the client's time does not
count.
"""

import argparse
import random
import secrets
import statistics
import tempfile
import time
from pathlib import Path

import uuid_utils.compat
from sqlalchemy import Uuid, create_engine, inspect, text

from db import migrate
from db.tables import Base
from tests.support.databases import fresh_database

KINDS = ("CHAR(32)", "CHAR(32) CHARACTER SET ascii COLLATE ascii_bin", "BINARY(16)")
_CHUNK = 10_000
_N_USERS, _N_FINDINGS, _N_LOOKUPS = 1_000, 3, 2_000
_TABLES = ("users", "scans", "findings", "audit_events")
_SENTENCE = "The vendor may go bankrupt before the second phase, and the budget leaves no reserve."
_USERS = """
INSERT INTO users (id, email, password_hash, role, created_at)
SELECT DISTINCT {owner}, CONCAT(HEX(owner), '@corp.local'), 'argon2', 'user', NOW(6) FROM ready_ids
"""
_SCANS = """
INSERT INTO scans (id, user_id, source, sensitivity, created_at, model_name, model_version,
                   document_sha256, coverage, n_findings)
SELECT {id}, {owner}, 'model', 'balanced',
       '2026-01-01' + INTERVAL n SECOND, 'riskscan-minilm', '1.3.1', SHA2(n, 256),
       JSON_OBJECT('characters', 270), 3
FROM ready_ids WHERE n BETWEEN :first AND :last ORDER BY n
"""
_FINDINGS = """
INSERT INTO findings (scan_id, n, risk_type, category, score, context, span_start, span_end)
SELECT {id}, k.n, ELT(k.n, 'vendor', 'budget', 'scope'), 'financial', 0.5, :sentence, k.n, k.n + 90
FROM ready_ids JOIN (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3) k
WHERE ready_ids.n BETWEEN :first AND :last ORDER BY ready_ids.n, k.n
"""
_EVENTS = """
INSERT INTO audit_events (id, created_at, action, user_id, object_type, object_id, request_id, detail)
SELECT {event}, '2026-01-01' + INTERVAL n SECOND, 'scan.created', {owner}, 'scan', HEX(id), HEX(id),
       JSON_OBJECT('n_findings', 3)
FROM ready_ids WHERE n BETWEEN :first AND :last ORDER BY n
"""
_LISTING = """
SELECT id FROM scans FORCE INDEX (ix_scans_user_id_created_at_id) WHERE user_id = :owner
ORDER BY created_at DESC, id DESC LIMIT 20
"""


def main():
    """Measure each column type in a database of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--scans", type=int, default=1_000_000)
    parsed = parser.parse_args()
    print(
        "| ids | insert, s | chunk, median s | data, MiB | indexes, MiB | by id, ms | listing, ms |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind in parsed.kinds:
        with fresh_database("mysql", Path(tempfile.gettempdir())) as url:
            migrate.upgrade(url)
            engine = create_engine(url, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                print(
                    f"| {kind} | {' | '.join(_measure(connection, kind, parsed.scans))} |",
                    flush=True,
                )
            engine.dispose()


def _measure(connection, kind, n_scans):
    columns = {"id": "id", "owner": "owner", "event": "event"}
    if kind != KINDS[0]:
        _change_id_types(connection, kind)
    if kind != "BINARY(16)":
        columns = {name: f"LOWER(HEX({column}))" for name, column in columns.items()}
    _store_ids(connection, n_scans)
    connection.execute(text(_USERS.format(**columns)))
    chunks_s = [
        _store_chunk_s(connection, columns, first, n_scans) for first in range(0, n_scans, _CHUNK)
    ]
    data, indexes = _mebibytes(connection)
    by_id = _median_ms(connection, "SELECT * FROM scans WHERE id = :id", columns, n_scans)
    listing = _median_ms(connection, _LISTING, columns, n_scans)
    seconds = f"{sum(chunks_s):.0f}", f"{statistics.median(chunks_s):.2f}"
    return *seconds, f"{data:.0f}", f"{indexes:.0f}", f"{by_id:.2f}", f"{listing:.2f}"


def _change_id_types(connection, kind):
    """Change the type of each id column of the empty tables."""
    catalogue = inspect(connection)
    keys = [
        (table, key) for table in Base.metadata.tables for key in catalogue.get_foreign_keys(table)
    ]
    for table, key in keys:
        connection.execute(text(f"ALTER TABLE {table} DROP FOREIGN KEY {key['name']}"))
    for table in Base.metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, Uuid):
                null = "NULL" if column.nullable else "NOT NULL"
                connection.execute(
                    text(f"ALTER TABLE {table.name} MODIFY {column.name} {kind} {null}")
                )
    for table, key in keys:
        column, owner = key["constrained_columns"][0], key["referred_table"]
        connection.execute(
            text(
                f"ALTER TABLE {table} ADD CONSTRAINT {key['name']} FOREIGN KEY ({column}) "
                f"REFERENCES {owner} (id) ON DELETE CASCADE"
            )
        )


def _store_ids(connection, n_scans):
    connection.execute(
        text(
            "CREATE TABLE ready_ids (n INT PRIMARY KEY, id BINARY(16), owner BINARY(16), event BINARY(16))"
        )
    )
    owners = [secrets.token_bytes(16) for _ in range(_N_USERS)]
    ids = [
        (uuid_utils.compat.uuid7().bytes, uuid_utils.compat.uuid7().bytes) for _ in range(n_scans)
    ]
    insert = text("INSERT INTO ready_ids (n, id, owner, event) VALUES (:n, :id, :owner, :event)")
    choice = random.Random(7)
    for first in range(0, n_scans, _CHUNK):
        rows = enumerate(ids[first : first + _CHUNK], first)
        values = [
            {"n": n, "id": i, "event": e, "owner": choice.choice(owners)} for n, (i, e) in rows
        ]
        connection.execute(insert, values)


def _store_chunk_s(connection, columns, first, n_scans):
    """Store a chunk of scans with their findings and events in one transaction; return its seconds."""
    values = {"first": first, "last": min(first + _CHUNK, n_scans) - 1, "sentence": _SENTENCE}
    began_s = time.monotonic()
    connection.exec_driver_sql("START TRANSACTION")
    for statement in (_SCANS, _FINDINGS, _EVENTS):
        connection.execute(text(statement.format(**columns)), values)
    connection.exec_driver_sql("COMMIT")
    return time.monotonic() - began_s


def _mebibytes(connection):
    """Return the size of the rows and of the other indexes, of all tables."""
    for table in _TABLES:
        connection.execute(text(f"ANALYZE TABLE {table}")).all()
    sizes = text(
        "SELECT SUM(data_length), SUM(index_length) FROM information_schema.tables "
        "WHERE table_schema = DATABASE() AND table_name <> 'ready_ids'"
    )
    return [float(n) / 2**20 for n in connection.execute(sizes).one()]


def _median_ms(connection, query, columns, n_scans):
    wanted = text(
        f"SELECT {columns['id']} AS id, {columns['owner']} AS owner FROM ready_ids WHERE n = :n"
    )
    choice, times = random.Random(11), []
    for _ in range(_N_LOOKUPS):
        values = connection.execute(wanted, {"n": choice.randrange(n_scans)}).mappings().one()
        began_s = time.perf_counter()
        connection.execute(text(query), dict(values)).all()
        times.append(time.perf_counter() - began_s)
    return statistics.median(times) * 1000


if __name__ == "__main__":
    main()
