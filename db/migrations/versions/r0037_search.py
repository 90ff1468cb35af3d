"""Tables for search: words with the database's own full-text index, and vectors of findings.

The service fills them in the background. A downgrade deletes them; they hold nothing that is not derived.

Rule about locks: the tables are new. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from db.migrations.columns import exact, long_binary, long_text, row_id, table_options

revision = "0037"
down_revision: str | None = "0036"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_FTS5 = """
CREATE VIRTUAL TABLE IF NOT EXISTS search_text USING fts5(
    words, content='search_words', content_rowid='id', tokenize='unicode61 remove_diacritics 0')
"""
_ADDED = """
CREATE TRIGGER IF NOT EXISTS search_words_added AFTER INSERT ON search_words BEGIN
    INSERT INTO search_text (rowid, words) VALUES (new.id, new.words);
END
"""
_REMOVED = """
CREATE TRIGGER IF NOT EXISTS search_words_removed AFTER DELETE ON search_words BEGIN
    INSERT INTO search_text (search_text, rowid, words) VALUES ('delete', old.id, old.words);
END
"""
_GIN = "CREATE INDEX IF NOT EXISTS ft_search_words_words ON search_words USING gin (words)"
_FULL_TEXT = {"sqlite": (_FTS5, _ADDED, _REMOVED), "postgresql": (_GIN,)}


def upgrade() -> None:
    """Create the tables and the full-text index."""
    bind = op.get_bind()
    _create("search_owners", *_owner_columns())
    _create("search_vectors", *_vector_columns())
    _create("search_words", *_word_columns())
    for statement in _FULL_TEXT.get(bind.dialect.name, ()):
        bind.exec_driver_sql(statement)
    if bind.dialect.name not in _FULL_TEXT and not _has_index("ft_search_words_words"):
        bind.exec_driver_sql("CREATE FULLTEXT INDEX ft_search_words_words ON search_words (words)")


def downgrade() -> None:
    """Drop the tables."""
    if op.get_bind().dialect.name == "sqlite":
        op.drop_table("search_text", if_exists=True)
    for name in ("search_words", "search_vectors", "search_owners"):
        op.drop_table(name, if_exists=True)


def _create(table: str, *parts: Any) -> None:  # noqa: ANN401 - columns, keys and indexes
    if not sa.inspect(op.get_bind()).has_table(table):
        op.create_table(table, *parts, **table_options())


def _has_index(name: str) -> bool:
    return name in {
        index["name"] for index in sa.inspect(op.get_bind()).get_indexes("search_words")
    }


def _owner_columns() -> list[Any]:
    return [
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_search_owners"),
        _key("search_owners", "user_id", "users"),
    ]


def _vector_columns() -> list[Any]:
    return [
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("scan_id", row_id(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("model", exact(64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("categories", long_text(), nullable=False),
        sa.Column("vectors", long_binary(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "scan_id", "part", name="pk_search_vectors"),
        _key("search_vectors", "scan_id", "scans"),
        sa.Index("ix_search_vectors_scan_id", "scan_id"),
        sa.Index("ix_search_vectors_user_id_revision", "user_id", "revision"),
    ]


def _word_columns() -> list[Any]:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return [
        sa.Column("id", number, nullable=False, autoincrement=True),
        sa.Column("scan_id", row_id(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("document_id", row_id(), nullable=True),
        sa.Column("words", long_text().with_variant(TSVECTOR(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_search_words"),
        _key("search_words", "scan_id", "scans"),
        _key("search_words", "document_id", "documents"),
        sa.UniqueConstraint("scan_id", "n", name="uq_search_words_scan_id_n"),
        sa.UniqueConstraint("document_id", name="uq_search_words_document_id"),
    ]


def _key(table: str, column: str, owner: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}"
    return sa.ForeignKeyConstraint([column], [f"{owner}.id"], name=name, ondelete="CASCADE")
