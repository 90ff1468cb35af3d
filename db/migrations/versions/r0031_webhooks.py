"""Webhooks and their deliveries.

A downgrade deletes them.

Rule about locks: the tables are new. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, long_text, row_id, table_options, time

revision = "0031"
down_revision: str | None = "0030"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Create the tables."""
    tables = sa.inspect(op.get_bind())
    if not tables.has_table("webhooks"):
        _create_webhooks()
    if not tables.has_table("webhook_deliveries"):
        _create_deliveries()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("webhook_deliveries", if_exists=True)
    op.drop_table("webhooks", if_exists=True)


def _create_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("url", long_text(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("secret_number", sa.Integer(), nullable=False),
        sa.Column("old_secret_until", time(), nullable=True),
        sa.Column("created_at", time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_webhooks_user_id", ondelete="CASCADE"
        ),
        sa.Index("ix_webhooks_user_id", "user_id"),
        **table_options(),
    )


def _create_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("webhook_id", row_id(), nullable=False),
        sa.Column("event", exact(64), nullable=False),
        sa.Column("payload", long_text(), nullable=False),
        sa.Column("state", exact(16), nullable=False),
        sa.Column("n_attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", time(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", exact(255), nullable=True),
        sa.Column("created_at", time(), nullable=False),
        sa.Column("delivered_at", time(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.CheckConstraint(
            "state IN ('waiting', 'delivered', 'failed')", name=op.f("ck_webhook_deliveries_state")
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name="fk_webhook_deliveries_webhook_id",
            ondelete="CASCADE",
        ),
        sa.Index(
            "ix_webhook_deliveries_webhook_id_created_at_id", "webhook_id", "created_at", "id"
        ),
        sa.Index("ix_webhook_deliveries_state_next_attempt_at", "state", "next_attempt_at"),
        **table_options(),
    )
