"""Feedback says from which row it was carried over, and whether it counts in place of that row.

Stored rows were given where they are, and count. A downgrade first deletes the carried ones, which the
earlier version would export a second time.

Rule about locks: PostgreSQL, MariaDB and MySQL 8.0.12 or newer add the columns in their catalogue alone.
PostgreSQL and SQLite block writers of feedback while they build the index. An interrupted revision can run
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import row_id

revision = "0020"
down_revision: str | None = "0019"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_INDEX = "ix_feedback_origin_id"
_COLUMNS = ("origin_id", "origin_scan_id", "counts")


def upgrade() -> None:
    """Add the columns and the index."""
    columns: tuple[sa.Column[Any], ...] = (
        sa.Column("origin_id", row_id()),
        sa.Column("origin_scan_id", row_id()),
        sa.Column("counts", sa.Boolean(), nullable=False, server_default=sa.true()),
    )
    for column in columns:
        if column.name not in _known():
            op.add_column("feedback", column)
    if _INDEX not in _indexes():
        op.create_index(_INDEX, "feedback", ["origin_id"])


def downgrade() -> None:
    """Delete the carried rows, then drop the columns."""
    if "origin_scan_id" in _known():
        op.execute("DELETE FROM feedback WHERE origin_scan_id IS NOT NULL")
    if _INDEX in _indexes():
        op.drop_index(_INDEX, "feedback")
    for name in _COLUMNS:
        if name in _known():
            op.drop_column("feedback", name)


def _known() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns("feedback")}


def _indexes() -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("feedback")}
