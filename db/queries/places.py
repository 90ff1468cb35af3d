"""Rows of many given findings, each named by its place: scan and number."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, column, text
from sqlalchemy.orm import Session

from db.column_types import row_id

Place = tuple[UUID, int]
"""Scan and number of a finding."""
_MYSQL = """
SELECT place.scan_id, place.n FROM JSON_TABLE(:places, '$[*]' COLUMNS (
    scan_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin PATH '$[0]', n INT PATH '$[1]')) AS place
"""
_LISTED = {
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "postgresql": """
SELECT CAST(value ->> 0 AS uuid) AS scan_id, CAST(value ->> 1 AS integer) AS n
FROM json_array_elements(CAST(:places AS json))
""",
    "sqlite": """
SELECT json_extract(value, '$[0]') AS scan_id, json_extract(value, '$[1]') AS n FROM json_each(:places)
""",
}


def at_places(
    session: Session,
    query: Any,  # noqa: ANN401 - a Select of any columns
    table: Any,  # noqa: ANN401 - a table with scan_id and n
    places: Sequence[Place],
) -> Any:  # noqa: ANN401 - a Select of the same columns
    """Return a Select narrowed to the rows of a table at different places.

    `(scan_id, n) IN (...)` took 88 ms on MariaDB and 230 ms on SQLite for 200 of a million findings, joined
    with their scans: MariaDB compares each row with each place, and SQLite begins with all scans. This join
    took 3 and 1 ms (AMD EPYC Zen 5, November 2026).
    """
    named = json.dumps([(scan_id.hex, n) for scan_id, n in places])
    columns = (column("scan_id", row_id()), column("n", Integer))
    chosen = text(_LISTED[session.get_bind().dialect.name]).bindparams(places=named)
    listed = chosen.columns(*columns).subquery("listed")
    return query.join(listed, (listed.c.scan_id == table.scan_id) & (listed.c.n == table.n))
