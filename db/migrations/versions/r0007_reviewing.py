"""For reviewing: an index for the list of everyone's scans, and verified reports.

Rule about locks: no row of scans is rewritten. MySQL and MariaDB build the index without blocking writes, and
add the column without a copy. PostgreSQL and SQLite block writers of scans while they build the index. An
interrupted revision can run again.

Existing reports of missed risks become unverified, since their documents are not stored.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_NEW, _OLD = "ix_scans_created_at_id", "ix_scans_created_at"


def upgrade() -> None:
    """Create the index of everyone's scans; add feedback.verified, true for verdicts on findings."""
    _exchange_index(_OLD, _NEW, ["created_at DESC", "id DESC"])
    if "verified" not in _columns():
        # With the default, a process of the previous version can still write while this one starts.
        op.add_column(
            "feedback",
            sa.Column("verified", sa.Boolean(), nullable=False, server_default=sa.false()),
        )
    feedback = sa.table("feedback", sa.column("n"), sa.column("verified", sa.Boolean()))
    op.execute(feedback.update().where(feedback.c.n > 0).values(verified=True))


def downgrade() -> None:
    """Drop the column, and restore the index of scans by time only."""
    if "verified" in _columns():
        op.drop_column("feedback", "verified")
    _exchange_index(_NEW, _OLD, ["created_at DESC"])


def _columns() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns("feedback")}


def _exchange_index(old: str, new: str, columns: Sequence[str]) -> None:
    names = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("scans")}
    if new not in names:
        op.create_index(new, "scans", [sa.text(column) for column in columns])
    if old in names:
        op.drop_index(old, "scans")
