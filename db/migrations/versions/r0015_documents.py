"""Documents of users, and their text in pieces.

Rule about locks: both tables are new, so nobody waits for them. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, long_binary, long_text, row_id, table_options, time

revision = "0015"
down_revision: str | None = "0014"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_INDEXES = {
    "ix_documents_user_id": ["user_id"],  # the first, which MySQL 9.7 takes for the foreign key
    "ix_documents_created_at_id": ["created_at DESC", "id DESC"],
    "ix_documents_user_id_created_at_id": ["user_id", "created_at DESC", "id DESC"],
}


def upgrade() -> None:
    """Create the tables that are missing, and their indexes."""
    tables = sa.inspect(op.get_bind()).get_table_names()
    if "documents" not in tables:
        _create_documents()
    indexes = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("documents")}
    for name, columns in _INDEXES.items():
        if name not in indexes:
            op.create_index(name, "documents", [sa.text(column) for column in columns])
    if "document_text" not in tables:
        _create_document_text()


def downgrade() -> None:
    """Drop the tables; scans and findings remain."""
    op.execute("DROP TABLE IF EXISTS document_text")
    op.execute("DROP TABLE IF EXISTS documents")


def _create_documents() -> None:
    op.create_table(
        "documents",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("name", exact(255)),
        sa.Column("media_type", exact(255), nullable=False),
        sa.Column("sha256", exact(64)),
        sa.Column("text_sha256", exact(64)),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("n_characters", sa.Integer()),
        sa.Column("n_pages", sa.Integer()),
        sa.Column("language", exact(16)),
        sa.Column("layout", sa.JSON()),
        sa.Column("text_stored", exact(16), nullable=False),
        sa.Column("text_limit", exact(16)),
        sa.Column("n_scans", sa.Integer(), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_documents_user_id", ondelete="CASCADE"
        ),
        sa.CheckConstraint(
            "text_stored IN ('none', 'hash', 'full')", name=op.f("ck_documents_text_stored")
        ),
        sa.CheckConstraint(
            "text_limit IN ('operator', 'user', 'unread')", name=op.f("ck_documents_text_limit")
        ),
        # The index of the foreign key comes with the table; MySQL would make one of its own.
        sa.Index("ix_documents_user_id", "user_id"),
        **table_options(),
    )


def _create_document_text() -> None:
    op.create_table(
        "document_text",
        sa.Column("document_id", row_id(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("span_start", sa.Integer(), nullable=False),
        sa.Column("span_end", sa.Integer(), nullable=False),
        sa.Column("text", long_text(), nullable=False),
        sa.Column("blocks", long_binary(), nullable=False),
        sa.PrimaryKeyConstraint("document_id", "n", name="pk_document_text"),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["documents.id"],
            name="fk_document_text_document_id",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("n >= 1", name=op.f("ck_document_text_n")),
        sa.CheckConstraint(
            "span_start >= 0 AND span_end >= span_start", name=op.f("ck_document_text_span")
        ),
        **table_options(),
    )
