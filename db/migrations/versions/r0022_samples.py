"""A random sample of sentences without a finding, for reviewers, and their verdict `no_risk`.

Earlier scans have no sample. A downgrade deletes the samples and the verdicts `no_risk`.

Rule about locks: the table is new. A column is added to `scans` in the catalogue alone; SQLite copies
`scans` when it drops it. MySQL, MariaDB and SQLite copy `feedback`, which blocks its writers. An interrupted
revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.checks import change_check
from db.migrations.columns import long_text, row_id, table_options

revision = "0022"
down_revision: str | None = "0021"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TABLE = "sampled_sentences"
_BEFORE = "verdict IN ('confirmed', 'rejected', 'relabelled', 'missed', 'withdrawn')"
_AFTER = "verdict IN ('confirmed', 'rejected', 'relabelled', 'missed', 'no_risk', 'withdrawn')"


def upgrade() -> None:
    """Create the table, add the column and allow the verdict."""
    inspector = sa.inspect(op.get_bind())
    if "n_unflagged" not in {column["name"] for column in inspector.get_columns("scans")}:
        op.add_column("scans", sa.Column("n_unflagged", sa.Integer()))
    if not inspector.has_table(_TABLE):
        _create_table()
    if not _is_allowed():
        change_check("feedback", "ck_feedback_verdict", _BEFORE, _AFTER)


def downgrade() -> None:
    """Delete the verdicts, drop the column and the table."""
    op.execute("DELETE FROM feedback WHERE verdict = 'no_risk'")
    if _is_allowed():
        change_check("feedback", "ck_feedback_verdict", _AFTER, _BEFORE)
    inspector = sa.inspect(op.get_bind())
    if inspector.has_table(_TABLE):
        op.drop_table(_TABLE)
    if "n_unflagged" in {column["name"] for column in inspector.get_columns("scans")}:
        op.drop_column("scans", "n_unflagged")


def _create_table() -> None:
    op.create_table(
        _TABLE,
        sa.Column("scan_id", row_id(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("span_start", sa.Integer(), nullable=False),
        sa.Column("span_end", sa.Integer(), nullable=False),
        sa.Column("context", long_text(), nullable=False),
        sa.Column("draw", sa.Double(), nullable=False),
        sa.Column("answered", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("scan_id", "n", name="pk_sampled_sentences"),
        sa.ForeignKeyConstraint(
            ["scan_id"], ["scans.id"], name="fk_sampled_sentences_scan_id", ondelete="CASCADE"
        ),
        sa.CheckConstraint("n >= 1", name=op.f("ck_sampled_sentences_n")),
        sa.CheckConstraint(
            "span_start >= 0 AND span_end > span_start", name=op.f("ck_sampled_sentences_span")
        ),
        sa.CheckConstraint("draw >= 0 AND draw < 1", name=op.f("ck_sampled_sentences_draw")),
        sa.Index("ix_sampled_sentences_answered_draw", "answered", "draw"),
        **table_options(),
    )


def _is_allowed() -> bool:
    checks = sa.inspect(op.get_bind()).get_check_constraints("feedback")
    return any("no_risk" in check["sqltext"] for check in checks)
