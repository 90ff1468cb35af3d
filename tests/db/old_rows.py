"""Rows of revision 0004 by table, owners before the rows that they own.

Columns that the current schema lacks are left out.
"""

import json
from uuid import UUID

from sqlalchemy import inspect, text

from db.engines import open_unpooled_engine

USER, SCAN, KEYED = "0190" + "a" * 28, "0190" + "b" * 28, "0190" + "c" * 28
LOGIN, OTHER = "0190" + "d" * 28, "0190" + "e" * 28
DOCUMENT = "0190" + "5" * 28
_CREATED_AT = "2026-01-02 03:04:05.678901"
_SCAN = {
    "user_id": USER,
    "data": "[]",
    "source": "model",
    "created_at": _CREATED_AT,
    "model_name": "riskscan",
    "model_version": "1.0.0",
    "document_sha256": "0" * 64,
    "coverage": "{}",
    "n_findings": 0,
    "sensitivity": "balanced",
}
_SPAN = {"span_start": 0, "span_end": 9}
_FINDING = {"risk_type": "tight-budget", "category": "budget", "context": "Zu teuer.", **_SPAN}
_ITEM = {"risk": "Insufficient or tight budget", "category": "Budget", "context": "Zu teuer."}
_COUNTS = ("n_scans", "n_sentences", "n_agreeing", "n_only_serving", "n_only_shadow", "n_dropped")
ROWS = [
    (
        "users",
        [
            {
                "id": USER,
                "email": "é@x",
                "password_hash": "h",
                "role": "admin",
                "created_at": _CREATED_AT,
            }
        ],
    ),
    (
        "logins",
        [{"id": LOGIN, "user_id": USER, "created_at": _CREATED_AT, "revoked_at": _CREATED_AT}],
    ),
    (
        "refresh_tokens",
        [
            {
                "id": OTHER,
                "login_id": LOGIN,
                "token_hash": "1" * 64,
                "created_at": _CREATED_AT,
                "expires_at": _CREATED_AT,
            }
        ],
    ),
    (
        "scans",
        [
            {
                **_SCAN,
                "id": SCAN,
                "filename": "Плän.pdf",
                "idempotency_key": None,
                "data": json.dumps([_ITEM, _ITEM]),
                "n_findings": 2,
            },
            {"id": KEYED, "filename": None, "idempotency_key": "k", **_SCAN},
        ],
    ),
    (
        "findings",
        [
            {"scan_id": SCAN, "n": 1, "score": 0.5, "page": None, **_FINDING},
            {"scan_id": SCAN, "n": 2, "score": None, "page": 3, **_FINDING},
        ],
    ),
    (
        "feedback",
        [
            {
                "id": OTHER,
                "scan_id": SCAN,
                "user_id": USER,
                "role": "user",
                "n": 1,
                "revision": 1,
                "verdict": "confirmed",
                "risk_types": "[]",
                "created_at": _CREATED_AT,
                **_SPAN,
            },
            {
                "id": KEYED,
                "scan_id": SCAN,
                "user_id": USER,
                "role": "user",
                "n": 0,
                "revision": 1,
                "verdict": "missed",
                "risk_types": "[]",
                "created_at": _CREATED_AT,
                **_SPAN,
            },
        ],
    ),
    (
        "audit_events",
        [
            {
                "id": OTHER,
                "created_at": _CREATED_AT,
                "action": "scan.created",
                "user_id": USER,
                "object_type": "scan",
                "object_id": SCAN,
                "detail": "{}",
            }
        ],
    ),
    (
        "deployments",
        [
            {
                "id": OTHER,
                "n": 1,
                "created_at": _CREATED_AT,
                "kind": "activate",
                "from_model": "a/1",
                "share": 0.5,
                "actor": "x",
                "forced": False,
                "metrics": "{}",
            }
        ],
    ),
    (
        "shadow_totals",
        [
            {
                "serving": "a/1",
                "shadow": "b/1",
                "abs_score_difference": 0.25,
                "first_at": _CREATED_AT,
                "last_at": _CREATED_AT,
                **dict.fromkeys(_COUNTS, 7),
            }
        ],
    ),
]

_UNCHECKED = {
    "sqlite": "PRAGMA foreign_keys = OFF",
    "mysql": "SET foreign_key_checks = 0",
    "mariadb": "SET foreign_key_checks = 0",
    "postgresql": "SET session_replication_role = replica",
}
_NOBODY = "0190" + "0" * 28
_ORPHANS = {
    "scans": {**dict(ROWS)["scans"][1], "id": "0190" + "f" * 28, "user_id": _NOBODY},
    "findings": {**dict(ROWS)["findings"][0], "scan_id": _NOBODY},
}


def add_orphan(url, table="scans", **owner):
    """Store a row of `table` without its owner, or with the ids in `owner`; return it."""
    with open_unpooled_engine(url).connect() as connection:
        # Sent by the driver: SQLite ignores its pragma inside a transaction.
        connection.connection.cursor().execute(_UNCHECKED[connection.dialect.name])
        row = {**_ORPHANS[table], **owner}
        add_rows(connection, [(table, [row])])
        connection.commit()
    return row


def add_rows(connection, rows):
    """Insert each (table, rows) unchanged."""
    for table, values in rows:
        columns = _columns(connection, table, values)
        names, places = ", ".join(columns), ", ".join(f":{name}" for name in columns)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), values)


def all_rows(connection, rows=ROWS):
    """Return the stored rows of each table in `rows`, in their columns, ids as hex."""
    return {
        table: stored_rows(connection, table, _columns(connection, table, values))
        for table, values in rows
    }


def stored_rows(connection, table, columns):
    """Return the rows of a table, sorted, ids as hex."""
    stored = connection.execute(text(f"SELECT {', '.join(columns)} FROM {table}"))
    return sorted((tuple(map(_plain, row)) for row in stored), key=repr)


def _columns(connection, table, values):
    known = {column["name"] for column in inspect(connection).get_columns(table)}
    return [name for name in values[0] if name in known]


def _plain(value):
    return (
        value.hex if isinstance(value, UUID) else value.hex() if isinstance(value, bytes) else value
    )
