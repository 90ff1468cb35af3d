"""Batches of documents, and their items.

A downgrade deletes them; the bytes of waiting items stay in DATA_DIR/batches.

Rule about locks: the tables are new. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, row_id, table_options, time

revision = "0032"
down_revision: str | None = "0031"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_BATCH_STATES = "state IN ('receiving', 'queued', 'running', 'finished', 'cancelled')"
_ITEM_STATES = "state IN ('waiting', 'running', 'done', 'failed', 'cancelled')"


def upgrade() -> None:
    """Create both tables; the plain index of each foreign key comes first."""
    tables = sa.inspect(op.get_bind()).get_table_names()
    if "batches" not in tables:
        _create_batches()
    if "batch_items" not in tables:
        _create_items()


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("batch_items", if_exists=True)
    op.drop_table("batches", if_exists=True)


def _create_batches() -> None:
    counts = ("n_waiting", "n_running", "n_done", "n_failed", "n_cancelled")
    op.create_table(
        "batches",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("name", exact(255), nullable=False),
        sa.Column("sensitivity", exact(16)),
        sa.Column("force_llm", sa.Boolean()),
        sa.Column("state", exact(16), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in counts),
        sa.Column("created_at", time(), nullable=False),
        sa.Column("ready_at", time(), nullable=False),
        sa.Column("served_at", time(), nullable=False),
        sa.Column("finished_at", time()),
        sa.Column("idempotency_key", exact(255)),
        sa.Column("request_sha256", exact(64)),
        sa.CheckConstraint(_BATCH_STATES, name=op.f("ck_batches_state")),
        sa.CheckConstraint("n_waiting >= 0", name=op.f("ck_batches_n_waiting")),
        sa.CheckConstraint("n_running >= 0", name=op.f("ck_batches_n_running")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_batches_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
        sa.UniqueConstraint(
            "idempotency_key", "user_id", name="uq_batches_idempotency_key_user_id"
        ),
        sa.Index("ix_batches_user_id", "user_id"),
        sa.Index("ix_batches_user_id_created_at_id", "user_id", "created_at", "id"),
        sa.Index("ix_batches_user_id_served_at", "user_id", "served_at"),
        sa.Index("ix_batches_state", "state"),
        **table_options(),
    )


def _create_items() -> None:
    op.create_table(
        "batch_items",
        *_item_columns(),
        sa.CheckConstraint(_ITEM_STATES, name=op.f("ck_batch_items_state")),
        sa.CheckConstraint("position >= 1", name=op.f("ck_batch_items_position")),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_batch_items_size_bytes")),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name="fk_batch_items_batch_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_batch_items_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_batch_items"),
        sa.UniqueConstraint("batch_id", "position", name="uq_batch_items_batch_id_position"),
        sa.Index("ix_batch_items_user_id", "user_id"),
        sa.Index("ix_batch_items_batch_id", "batch_id"),
        sa.Index(
            "ix_batch_items_batch_id_state_attempts_position",
            "batch_id",
            "state",
            "attempts",
            "position",
        ),
        sa.Index("ix_batch_items_state_lease_until", "state", "lease_until"),
        sa.Index("ix_batch_items_sha256_user_id", "sha256", "user_id"),
        sa.Index("ix_batch_items_finished_at_batch_id", "finished_at", "batch_id"),
        **table_options(),
    )


def _item_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", row_id(), nullable=False),
        sa.Column("batch_id", row_id(), nullable=False),
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", exact(255)),
        sa.Column("media_type", exact(127), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", exact(64)),
        sa.Column("file_id", row_id()),
        sa.Column("document_id", row_id()),
        sa.Column("state", exact(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker", exact(100)),
        sa.Column("claim_id", row_id()),
        sa.Column("lease_until", time()),
        sa.Column("scan_id", row_id()),
        sa.Column("error_code", exact(64)),
        sa.Column("error_detail", exact(1000)),
        sa.Column("finished_at", time()),
    ]
