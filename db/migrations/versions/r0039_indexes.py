"""Indexes for the risks of a scan, and for the export and the deletion of a user's data.

Rule about locks: no build blocks readers or writers, but on SQLite, which has one writer. MariaDB and MySQL
build in place; PostgreSQL builds concurrently, and waits for transactions that began before. An interrupted
revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0039.from.0038"
down_revision: str | None = "0038"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_INDEXES: Sequence[tuple[str, list[str]]] = [
    ("audit_events", ["object_id", "created_at", "id"]),
    ("feedback", ["user_id", "id"]),
    ("risk_findings", ["scan_id"]),
    ("risk_findings", ["user_id", "id"]),
]


def upgrade() -> None:
    """Build the indexes."""
    if op.get_bind().dialect.name == "postgresql":
        with op.get_context().autocommit_block():
            _build_concurrently()
        return
    for table, columns in _INDEXES:
        if _name(table, columns) not in _known(table):
            op.create_index(_name(table, columns), table, columns)


def downgrade() -> None:
    """Drop the indexes."""
    for table, columns in _INDEXES:
        if _name(table, columns) in _known(table):
            op.drop_index(_name(table, columns), table)


def _build_concurrently() -> None:
    op.execute("SET lock_timeout = '10min'")  # a build that waits blocks nobody
    for table, columns in _INDEXES:
        name = _name(table, columns)
        # An interrupted build leaves an index that is not used.
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True)
    op.execute("SET lock_timeout = '10s'")


def _name(table: str, columns: Sequence[str]) -> str:
    return "_".join(["ix", table, *columns])


def _known(table: str) -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
