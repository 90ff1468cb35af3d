"""A table for search: the passages, words and vectors of lessons, with the database's own full-text index.

The service fills it in the background. A downgrade deletes it; it holds nothing that is not derived.

Rule about locks: the table is new. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from db.migrations.columns import exact, long_binary, long_text, row_id, table_options

revision = "0038"
down_revision: str | None = "0037"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TABLE, _INDEX = "search_lessons", "ft_search_lessons_words"
_FTS5 = """
CREATE VIRTUAL TABLE IF NOT EXISTS search_lesson_text USING fts5(
    words, content='search_lessons', content_rowid='id', tokenize='unicode61 remove_diacritics 0')
"""
_ADDED = """
CREATE TRIGGER IF NOT EXISTS search_lessons_added AFTER INSERT ON search_lessons BEGIN
    INSERT INTO search_lesson_text (rowid, words) VALUES (new.id, new.words);
END
"""
_REMOVED = """
CREATE TRIGGER IF NOT EXISTS search_lessons_removed AFTER DELETE ON search_lessons BEGIN
    INSERT INTO search_lesson_text (search_lesson_text, rowid, words)
        VALUES ('delete', old.id, old.words);
END
"""
_GIN = f"CREATE INDEX IF NOT EXISTS {_INDEX} ON {_TABLE} USING gin (words)"
_FULL_TEXT = {"sqlite": (_FTS5, _ADDED, _REMOVED), "postgresql": (_GIN,)}


def upgrade() -> None:
    """Create the table and its full-text index."""
    bind = op.get_bind()
    if not sa.inspect(bind).has_table(_TABLE):
        op.create_table(_TABLE, *_columns(), **table_options())
    for statement in _FULL_TEXT.get(bind.dialect.name, ()):
        bind.exec_driver_sql(statement)
    if bind.dialect.name not in _FULL_TEXT and not _has_index():
        bind.exec_driver_sql(f"CREATE FULLTEXT INDEX {_INDEX} ON {_TABLE} (words)")


def downgrade() -> None:
    """Drop the table."""
    if op.get_bind().dialect.name == "sqlite":
        op.drop_table("search_lesson_text", if_exists=True)
    op.drop_table(_TABLE, if_exists=True)


def _has_index() -> bool:
    indexes = sa.inspect(op.get_bind()).get_indexes(_TABLE)
    return _INDEX in {index["name"] for index in indexes}


def _columns() -> list[Any]:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    words = long_text().with_variant(TSVECTOR(), "postgresql")
    return [
        sa.Column("id", number, nullable=False, autoincrement=True),
        sa.Column("lesson_id", row_id(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("passages", long_text(), nullable=False),
        sa.Column("words", words, nullable=False),
        sa.Column("model", exact(64), nullable=True),
        sa.Column("vectors", long_binary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_search_lessons"),
        sa.ForeignKeyConstraint(
            ["lesson_id"],
            ["lessons.id"],
            name="fk_search_lessons_lesson_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("lesson_id", name="uq_search_lessons_lesson_id"),
    ]
