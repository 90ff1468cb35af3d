"""Blocked networks.

A downgrade deletes them.

Rule about locks: the table is new. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, long_text, row_id, table_options, time

revision = "0026"
down_revision: str | None = "0025"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TABLE = "blocks"


def upgrade() -> None:
    """Create the table."""
    if sa.inspect(op.get_bind()).has_table(_TABLE):
        return
    op.create_table(
        _TABLE,
        sa.Column("id", row_id(), nullable=False),
        sa.Column("network", exact(49), nullable=False),
        sa.Column("reason", long_text(), nullable=False),
        sa.Column("created_by", row_id()),
        sa.Column("created_at", time(), nullable=False),
        sa.Column("expires_at", time()),
        sa.PrimaryKeyConstraint("id", name="pk_blocks"),
        sa.Index("ix_blocks_created_at_id", "created_at", "id"),
        **table_options(),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table(_TABLE, if_exists=True)
