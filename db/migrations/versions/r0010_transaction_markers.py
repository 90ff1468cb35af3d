"""Rows that show whether a transaction was committed, if its COMMIT got no answer.

Rule about locks: the table is new, so nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import row_id, table_options, time

revision = "0010"
down_revision: str | None = "0009"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Create the table, and the index that finds old rows."""
    op.create_table(
        "transaction_markers",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_transaction_markers"),
        **table_options(),
    )
    op.create_index("ix_transaction_markers_created_at", "transaction_markers", ["created_at"])


def downgrade() -> None:
    """Drop the table; its rows are needed for seconds only."""
    op.drop_table("transaction_markers")
