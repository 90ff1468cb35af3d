"""Histograms for the drift monitor, by model, hour and process.

A downgrade deletes them.

Rule about locks: the table is new. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, row_id, table_options, time

revision = "0034"
down_revision: str | None = "0033"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TABLE = "drift_counts"


def upgrade() -> None:
    """Create the table."""
    if sa.inspect(op.get_bind()).has_table(_TABLE):
        return
    op.create_table(
        _TABLE,
        sa.Column("id", row_id(), nullable=False),
        sa.Column("model", exact(191), nullable=False),
        sa.Column("hour", time(), nullable=False),
        sa.Column("n_sentences", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_drift_counts"),
        sa.Index("ix_drift_counts_model_hour", "model", "hour"),
        **table_options(),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table(_TABLE, if_exists=True)
