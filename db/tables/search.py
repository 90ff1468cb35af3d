"""What search reads: the words of findings, documents and lessons, and the vectors of findings and lessons.

All of it is derived from other tables: a backup leaves it out, and the service computes what is missing.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, UniqueConstraint
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import exact, long_binary, long_text, row_id
from db.tables.base import Base


class SearchWords(Base):
    """The search terms of finding `n` of a scan, or of a document; then `n` is 0 and there is no scan.

    `words` are terms of letters and digits, separated by spaces (service/domain/search/terms.py). Each has
    its owner inside, so that the full-text index never reads another user's rows. That index is one of the
    database's own: FULLTEXT, a tsvector, or the FTS5 table `search_text`; a migration creates it.
    """

    __tablename__ = "search_words"
    __table_args__ = (
        UniqueConstraint("scan_id", "n"),
        UniqueConstraint("document_id"),
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    scan_id: Mapped[UUID | None] = mapped_column(
        row_id(), ForeignKey("scans.id", ondelete="CASCADE")
    )
    n: Mapped[int]
    document_id: Mapped[UUID | None] = mapped_column(
        row_id(), ForeignKey("documents.id", ondelete="CASCADE")
    )
    words: Mapped[str] = mapped_column(long_text().with_variant(TSVECTOR(), "postgresql"))


class SearchVectors(Base):
    """The vectors of up to ROWS findings of a scan, in order of their numbers; part 0 begins with finding 1.

    `vectors` is int8 (n_findings, size), each row a sentence's vector times a factor of its own; `model` the
    SHA-256 of the manifest of the model that computed them. `categories` has a line for each finding: its
    category, or nothing. `revision` is that of SearchOwner when the row was stored.
    """

    __tablename__ = "search_vectors"
    __table_args__ = (
        Index("ix_search_vectors_scan_id", "scan_id"),
        Index("ix_search_vectors_user_id_revision", "user_id", "revision"),
    )

    user_id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    scan_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("scans.id", ondelete="CASCADE"), primary_key=True
    )
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    model: Mapped[str] = mapped_column(exact(64))
    revision: Mapped[int]
    categories: Mapped[str] = mapped_column(long_text())
    vectors: Mapped[bytes] = mapped_column(long_binary())


class SearchOwner(Base):
    """How often vectors of a user's findings were stored, by which a process knows that it has them all."""

    __tablename__ = "search_owners"

    user_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    revision: Mapped[int]


class SearchLesson(Base):
    """What search knows of a lesson as of its `version`: passages, words and vectors.

    `passages` has a line for each: the title, then the text without markup. `words` are terms as in
    SearchWords, with a full-text index of their own: the lessons are few, and everybody's. `vectors` is int8
    (n_passages, size) by `model` as in SearchVectors; both are null if the model gave none.
    """

    __tablename__ = "search_lessons"
    __table_args__ = (UniqueConstraint("lesson_id"),)

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    lesson_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("lessons.id", ondelete="CASCADE"))
    version: Mapped[int]
    passages: Mapped[str] = mapped_column(long_text())
    words: Mapped[str] = mapped_column(long_text().with_variant(TSVECTOR(), "postgresql"))
    model: Mapped[str | None] = mapped_column(exact(64))
    vectors: Mapped[bytes | None] = mapped_column(long_binary())


ROWS = 10_000
"""Findings of a part of SearchVectors; at most 7.7 MB for 768 dimensions."""
DERIVED = frozenset(
    table.__tablename__ for table in (SearchWords, SearchVectors, SearchOwner, SearchLesson)
)
FTS5_TABLES = {SearchWords: "search_text", SearchLesson: "search_lesson_text"}
"""The full-text index of each table with words on SQLite."""
FULL_TEXT_TABLES = frozenset(
    name + part
    for name in FTS5_TABLES.values()
    for part in ("", "_config", "_data", "_docsize", "_idx")
)
"""These, and the tables that SQLite keeps for them."""
FULL_TEXT_INDEXES = frozenset({"ft_search_words_words", "ft_search_lessons_words"})
"""The full-text indexes on MariaDB, MySQL and PostgreSQL."""
