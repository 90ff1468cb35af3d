"""Outgoing calls, without their content.

Rule about locks: the table is new, so nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, row_id, table_options, time

revision = "0018"
down_revision: str | None = "0017"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Create the table and its indexes."""
    op.create_table(
        "api_interactions",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.Column("kind", exact(16), nullable=False),
        sa.Column("host", exact(255), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("error_code", exact(64)),
        sa.Column("duration_ms", sa.Double(), nullable=False),
        sa.Column("sent_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger()),
        sa.Column("completion_tokens", sa.BigInteger()),
        sa.Column("scan_id", row_id()),
        sa.Column("request_id", exact(64)),
        sa.PrimaryKeyConstraint("id", name="pk_api_interactions"),
        sa.CheckConstraint(
            "kind IN ('llm', 'ai_service', 'webhook', 'indexer')",
            name=op.f("ck_api_interactions_kind"),
        ),
        sa.Index("ix_api_interactions_created_at_id", "created_at", "id"),
        sa.Index("ix_api_interactions_scan_id", "scan_id"),
        **table_options(),
    )


def downgrade() -> None:
    """Drop the table, and the record of all calls with it."""
    op.drop_table("api_interactions")
