"""Work sessions, and the files in them.

Rule about locks: the tables are new, so nobody waits for them. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, row_id, table_options, time

revision = "0014"
down_revision: str | None = "0013"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Create both tables; the plain index of each foreign key comes first."""
    tables = sa.inspect(op.get_bind()).get_table_names()
    if "work_sessions" not in tables:
        _create_work_sessions()
    if "files" not in tables:
        _create_files()


def downgrade() -> None:
    """Drop both tables; the bytes stay in DATA_DIR/files."""
    op.drop_table("files")
    op.drop_table("work_sessions")


def _create_work_sessions() -> None:
    op.create_table(
        "work_sessions",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("name", exact(255), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_work_sessions_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_work_sessions"),
        sa.Index("ix_work_sessions_user_id", "user_id"),
        sa.Index("ix_work_sessions_user_id_created_at_id", "user_id", "created_at", "id"),
        **table_options(),
    )


def _create_files() -> None:
    op.create_table(
        "files",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("work_session_id", row_id(), nullable=False),
        sa.Column("name", exact(255), nullable=False),
        sa.Column("media_type", exact(127), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", exact(64), nullable=False),
        sa.Column("pages", sa.Integer()),
        sa.Column("created_at", time(), nullable=False),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_files_size_bytes")),
        sa.CheckConstraint("pages >= 0", name=op.f("ck_files_pages")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_files_user_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["work_session_id"],
            ["work_sessions.id"],
            name="fk_files_work_session_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
        sa.Index("ix_files_user_id", "user_id"),
        sa.Index("ix_files_user_id_sha256", "user_id", "sha256"),
        sa.Index("ix_files_work_session_id", "work_session_id"),
        sa.Index("ix_files_work_session_id_created_at_id", "work_session_id", "created_at", "id"),
        **table_options(),
    )
