"""The risk register.

A downgrade deletes it.

Rule about locks: the tables are new. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, long_text, row_id, table_options, time

revision = "0036"
down_revision: str | None = "0035"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Create the tables."""
    tables = sa.inspect(op.get_bind())
    for name, create in (
        ("risks", _create_risks),
        ("risk_findings", _create_findings),
        ("risk_notes", _create_notes),
        ("risk_changes", _create_changes),
    ):
        if not tables.has_table(name):
            create()


def downgrade() -> None:
    """Drop the tables."""
    for name in ("risk_changes", "risk_notes", "risk_findings", "risks"):
        op.drop_table(name, if_exists=True)


def _create_risks() -> None:
    op.create_table(
        "risks",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("owner_id", row_id(), nullable=False),
        sa.Column("team_id", row_id(), nullable=True),
        sa.Column("title", exact(200), nullable=False),
        sa.Column("description", long_text(), nullable=False),
        sa.Column("category", exact(64), nullable=True),
        sa.Column("risk_type", exact(64), nullable=True),
        sa.Column("likelihood", sa.Integer(), nullable=False),
        sa.Column("impact", sa.Integer(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("mitigation", long_text(), nullable=False),
        sa.Column("state", exact(16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.Column("changed_at", time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_risks"),
        sa.CheckConstraint(
            "state IN ('open', 'mitigating', 'accepted', 'closed')", name=op.f("ck_risks_state")
        ),
        sa.CheckConstraint("likelihood >= 1 AND likelihood <= 5", name=op.f("ck_risks_likelihood")),
        sa.CheckConstraint("impact >= 1 AND impact <= 5", name=op.f("ck_risks_impact")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_risks_version")),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams.id"], name="fk_risks_team_id", ondelete="SET NULL"
        ),
        sa.Index("ix_risks_user_id_created_at_id", "user_id", "created_at", "id"),
        sa.Index("ix_risks_owner_id", "owner_id"),
        sa.Index("ix_risks_team_id_created_at_id", "team_id", "created_at", "id"),
        **table_options(),
    )


def _create_findings() -> None:
    op.create_table(
        "risk_findings",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("risk_id", row_id(), nullable=False),
        sa.Column("scan_id", row_id(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("series_id", row_id(), nullable=True),
        sa.Column("fingerprint", exact(32), nullable=False),
        sa.Column("filename", exact(255), nullable=True),
        sa.Column("context", long_text(), nullable=False),
        sa.Column("risk", exact(255), nullable=False),
        sa.Column("category", exact(255), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("part", exact(640), nullable=True),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("scanned_at", time(), nullable=False),
        sa.Column("source_user_id", row_id(), nullable=False),
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_risk_findings"),
        sa.CheckConstraint("n >= 1", name=op.f("ck_risk_findings_n")),
        sa.UniqueConstraint("risk_id", "scan_id", "n", name="uq_risk_findings_risk_id_scan_id_n"),
        _of_risk("risk_findings"),
        sa.Index("ix_risk_findings_risk_id_created_at_id", "risk_id", "created_at", "id"),
        sa.Index("ix_risk_findings_series_id_fingerprint", "series_id", "fingerprint"),
        sa.Index("ix_risk_findings_source_user_id", "source_user_id"),
        **table_options(),
    )


def _create_notes() -> None:
    _create_list("risk_notes", sa.Column("text", long_text(), nullable=False))


def _create_changes() -> None:
    _create_list(
        "risk_changes",
        sa.Column("field", exact(32), nullable=False),
        sa.Column("value_before", long_text(), nullable=True),
        sa.Column("value_after", long_text(), nullable=True),
    )


def _create_list(table: str, *columns: sa.Column[Any]) -> None:
    op.create_table(
        table,
        sa.Column("id", row_id(), nullable=False),
        sa.Column("risk_id", row_id(), nullable=False),
        sa.Column("user_id", row_id(), nullable=False),
        *columns,
        sa.Column("created_at", time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        _of_risk(table),
        sa.Index(f"ix_{table}_risk_id_created_at_id", "risk_id", "created_at", "id"),
        sa.Index(f"ix_{table}_user_id", "user_id"),
        **table_options(),
    )


def _of_risk(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_risk_id"
    return sa.ForeignKeyConstraint(["risk_id"], ["risks.id"], name=name, ondelete="CASCADE")
