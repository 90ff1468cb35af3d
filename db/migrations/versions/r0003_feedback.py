"""Feedback: verdicts on findings, and reports of missed risks.

Rule about locks: the table is new, so nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, long_text, row_id, table_options, time

revision = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_VERDICTS = "'confirmed', 'rejected', 'relabelled', 'missed', 'withdrawn'"
_TARGET = ("scan_id", "user_id", "n", "span_start", "span_end")


def upgrade() -> None:
    """Create the table and the index that lists a scan's feedback."""
    op.create_table(
        "feedback",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("scan_id", row_id(), nullable=False),
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("role", exact(16), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("span_start", sa.Integer(), nullable=False),
        sa.Column("span_end", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("verdict", exact(16), nullable=False),
        sa.Column("risk_types", sa.JSON(), nullable=False),
        sa.Column("context", long_text()),
        sa.Column("comment", long_text()),
        sa.Column("created_at", time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
        sa.UniqueConstraint(*_TARGET, "revision", name=f"uq_feedback_{'_'.join(_TARGET)}_revision"),
        sa.CheckConstraint("n >= 0", name="ck_feedback_n"),
        sa.CheckConstraint("span_start >= 0 AND span_end > span_start", name="ck_feedback_span"),
        sa.CheckConstraint("revision >= 1", name="ck_feedback_revision"),
        sa.CheckConstraint(f"verdict IN ({_VERDICTS})", name="ck_feedback_verdict"),
        sa.ForeignKeyConstraint(
            ["scan_id"], ["scans.id"], name="fk_feedback_scan_id", ondelete="CASCADE"
        ),
        **table_options(),
    )
    newest_last = ["scan_id", "created_at", "id"]
    op.create_index("ix_feedback_scan_id_created_at_id", "feedback", newest_last)


def downgrade() -> None:
    """Drop the table, and all feedback with it."""
    op.drop_table("feedback")
