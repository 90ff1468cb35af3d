"""API keys, with which machines act for an account.

Rule about locks: the table is new, so nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, row_id, table_options, time

revision = "0012"
down_revision: str | None = "0011"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "api_keys",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("key_hash", exact(64), nullable=False),
        sa.Column("hint", exact(8), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.Column("expires_at", time()),
        sa.Column("last_used_at", time()),
        sa.Column("replaced_by_id", row_id()),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.Index("ix_api_keys_user_id", "user_id"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_api_keys_user_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("key_hash", name="uq_api_keys_key_hash"),
        **table_options(),
    )


def downgrade() -> None:
    """Drop the table; machines then need tokens."""
    op.drop_table("api_keys")
