"""Tokens of the LLM by user and day.

A downgrade deletes them.

Rule about locks: the table is new. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import row_id, table_options

revision = "0028"
down_revision: str | None = "0027"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TABLE = "llm_usage"


def upgrade() -> None:
    """Create the table."""
    if sa.inspect(op.get_bind()).has_table(_TABLE):
        return
    op.create_table(
        _TABLE,
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_llm_usage_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "day", name="pk_llm_usage"),
        **table_options(),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table(_TABLE, if_exists=True)
