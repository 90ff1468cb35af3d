"""Settings that users choose for themselves.

Rule about locks: the table is new, so nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, row_id, table_options, time

revision = "0017"
down_revision: str | None = "0016"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "user_settings",
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("sensitivity", exact(16), nullable=False),
        sa.Column("force_llm", sa.Boolean(), nullable=False),
        sa.Column("thresholds", sa.JSON(), nullable=False),
        sa.Column("retention_days", sa.Integer()),
        sa.Column("store_text", exact(16), nullable=False),
        sa.Column("updated_at", time(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_user_settings"),
        sa.CheckConstraint("retention_days >= 1", name=op.f("ck_user_settings_retention_days")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_user_settings_user_id", ondelete="CASCADE"
        ),
        **table_options(),
    )


def downgrade() -> None:
    """Drop the table; every user then has the defaults."""
    op.drop_table("user_settings")
