"""Deployments of models, and what shadowing measured.

Rule about locks: these tables are new, so nobody waits for them.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, row_id, table_options, time

revision = "0004"
down_revision: str | None = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Create the tables."""
    _create_deployments()
    _create_shadow_totals()


def downgrade() -> None:
    """Drop the tables, and with them the record of what served when."""
    for table in ("shadow_totals", "deployments"):
        op.drop_table(table)


def _create_deployments() -> None:
    _create(
        "deployments",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.Column("kind", exact(16), nullable=False),
        sa.Column("from_model", exact(191), nullable=False),
        sa.Column("to_model", exact(191)),
        sa.Column("manifest_sha256", exact(64)),
        sa.Column("share", sa.Double()),
        sa.Column("actor", exact(255), nullable=False),
        sa.Column("why", sa.String(1000)),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deployments"),
        sa.UniqueConstraint("n", name="uq_deployments_n"),
        sa.CheckConstraint(
            "kind IN ('activate', 'rollback', 'shadow', 'shadow_off')", name="ck_deployments_kind"
        ),
        sa.CheckConstraint("n >= 1", name="ck_deployments_n"),
        sa.CheckConstraint("share >= 0 AND share <= 1", name="ck_deployments_share"),
    )


def _create_shadow_totals() -> None:
    counts = ("n_scans", "n_sentences", "n_agreeing", "n_only_serving", "n_only_shadow")
    _create(
        "shadow_totals",
        sa.Column("serving", exact(191), nullable=False),
        sa.Column("shadow", exact(191), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in counts),
        sa.Column("n_dropped", sa.BigInteger(), nullable=False),
        sa.Column("abs_score_difference", sa.Double(), nullable=False),
        sa.Column("first_at", time(), nullable=False),
        sa.Column("last_at", time(), nullable=False),
        sa.PrimaryKeyConstraint("serving", "shadow", name="pk_shadow_totals"),
    )


def _create(name: str, *parts: sa.schema.SchemaItem) -> None:
    op.create_table(name, *parts, **table_options())
