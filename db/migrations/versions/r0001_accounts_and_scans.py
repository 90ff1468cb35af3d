"""Accounts, log-ins, scans with their findings, and the audit trail.

Rule about locks: these tables are new, so nobody waits for them.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, long_text, row_id, table_options, time

revision = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Create the tables, parents before children."""
    _create_users()
    _create_logins()
    _create_refresh_tokens()
    _create_scans()
    _create_findings()
    _create_audit_events()


def downgrade() -> None:
    """Drop the tables with their rows, children before parents."""
    for table in ("audit_events", "findings", "scans", "refresh_tokens", "logins", "users"):
        op.drop_table(table)


def _create_users() -> None:
    _create(
        "users",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("email", exact(254), nullable=False),
        sa.Column("password_hash", exact(255), nullable=False),
        sa.Column("role", exact(16), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.Column("disabled_at", time()),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
        sa.CheckConstraint("role IN ('user', 'reviewer', 'admin')", name="ck_users_role"),
    )


def _create_logins() -> None:
    _create(
        "logins",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.Column("revoked_at", time()),
        sa.Column("revoked_reason", sa.String(64)),
        sa.PrimaryKeyConstraint("id", name="pk_logins"),
        _owned_by("users", "user_id", name="fk_logins_user_id"),
    )
    op.create_index("ix_logins_user_id", "logins", ["user_id"])


def _create_refresh_tokens() -> None:
    _create(
        "refresh_tokens",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("login_id", row_id(), nullable=False),
        sa.Column("token_hash", exact(64), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.Column("expires_at", time(), nullable=False),
        sa.Column("used_at", time()),
        sa.PrimaryKeyConstraint("id", name="pk_refresh_tokens"),
        sa.UniqueConstraint("token_hash", name="uq_refresh_tokens_token_hash"),
        _owned_by("logins", "login_id", name="fk_refresh_tokens_login_id"),
    )
    op.create_index("ix_refresh_tokens_login_id", "refresh_tokens", ["login_id"])


def _create_scans() -> None:
    _create(
        "scans",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("filename", exact(255)),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("source", exact(16), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.Column("model_name", sa.String(255), nullable=False),
        sa.Column("model_version", sa.String(255), nullable=False),
        sa.Column("document_sha256", exact(64), nullable=False),
        sa.Column("coverage", sa.JSON(), nullable=False),
        sa.Column("n_findings", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", exact(255)),
        sa.Column("request_sha256", exact(64)),
        sa.PrimaryKeyConstraint("id", name="pk_scans"),
        sa.UniqueConstraint("user_id", "idempotency_key", name="uq_scans_user_id_idempotency_key"),
        sa.CheckConstraint("source IN ('model', 'llm')", name="ck_scans_source"),
        sa.CheckConstraint("n_findings >= 0", name="ck_scans_n_findings"),
        _owned_by("users", "user_id", name="fk_scans_user_id"),
    )
    op.create_index("ix_scans_user_id", "scans", ["user_id"])
    op.create_index("ix_scans_created_at", "scans", [sa.text("created_at DESC")])
    newest_first = [sa.text(part) for part in ("user_id", "created_at DESC", "id DESC")]
    op.create_index("ix_scans_user_id_created_at_id", "scans", newest_first)


def _create_findings() -> None:
    _create(
        "findings",
        sa.Column("scan_id", row_id(), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("risk_type", exact(64), nullable=False),
        sa.Column("category", exact(64), nullable=False),
        sa.Column("score", sa.Double()),
        sa.Column("context", long_text(), nullable=False),
        sa.Column("span_start", sa.Integer(), nullable=False),
        sa.Column("span_end", sa.Integer(), nullable=False),
        sa.Column("page", sa.Integer()),
        sa.PrimaryKeyConstraint("scan_id", "n", name="pk_findings"),
        sa.CheckConstraint("n >= 1", name="ck_findings_n"),
        sa.CheckConstraint("score >= 0 AND score <= 1", name="ck_findings_score"),
        sa.CheckConstraint("span_start >= 0 AND span_end > span_start", name="ck_findings_span"),
        sa.CheckConstraint("page >= 1", name="ck_findings_page"),
        _owned_by("scans", "scan_id", name="fk_findings_scan_id"),
    )
    op.create_index("ix_findings_risk_type_scan_id", "findings", ["risk_type", "scan_id"])
    op.create_index("ix_findings_category_scan_id", "findings", ["category", "scan_id"])


def _create_audit_events() -> None:
    _create(
        "audit_events",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.Column("action", exact(64), nullable=False),
        sa.Column("user_id", row_id()),
        sa.Column("object_type", exact(64), nullable=False),
        sa.Column("object_id", exact(255)),
        sa.Column("request_id", exact(64)),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_events"),
    )
    op.create_index("ix_audit_events_created_at_id", "audit_events", ["created_at", "id"])


def _create(name: str, *parts: sa.schema.SchemaItem) -> None:
    op.create_table(name, *parts, **table_options())


def _owned_by(table: str, column: str, *, name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{table}.id"], name=name, ondelete="CASCADE")
