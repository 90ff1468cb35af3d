"""Documents of users, and their extracted text in pieces."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, desc
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, long_binary, long_text, row_id
from db.tables.base import Base, one_of


class StoredText(StrEnum):
    """How much of a document is stored beside its findings, least first. A CHECK of documents has these."""

    NONE = "none"
    """Neither the text nor its hash."""
    HASH = "hash"
    """The SHA-256 of the bytes and of the text."""
    FULL = "full"
    """The text with its blocks and pages too."""


class TextLimit(StrEnum):
    """Why a document's text is not stored. A CHECK of documents has these."""

    OPERATOR = "operator"
    """The setting STORE_TEXT."""
    USER = "user"
    """The user's own choice, below that setting."""
    UNREAD = "unread"
    """Only the service at AI_SERVICE_URL could read the file."""


class Document(Base):
    """A document that a user scanned once or several times; it lives as long as one of these scans.

    The same bytes with the same text are one document of a user: `id` is derived from these. An edited
    document is another row, whose `version` counts from 1 in its `series_id`; that is the first version's id,
    or a new one if the first version was deleted and stored again while others were left. `name` and
    `media_type` are those of the first scan. `n_characters` is null if this service could not read the file.
    `original_sha256` is the hash of the uploaded bytes if these are stored. `layout` says where the parts and
    pages of a stored text begin. `text` and `blocks` are those of a text of one piece, from 0 to
    `n_characters`; a longer text is in rows of DocumentText. Lists load none of these three.
    """

    __tablename__ = "documents"
    __table_args__ = (
        CheckConstraint(one_of("text_stored", StoredText), name="text_stored"),
        CheckConstraint(one_of("text_limit", TextLimit), name="text_limit"),
        Index("ix_documents_user_id", "user_id"),
        Index("ix_documents_series_id_version", "series_id", "version"),
        Index("ix_documents_original_sha256_user_id", "original_sha256", "user_id"),
        Index("ix_documents_created_at_id", desc("created_at"), desc("id")),
        Index("ix_documents_user_id_created_at_id", "user_id", desc("created_at"), desc("id")),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str | None] = mapped_column(exact(255))
    media_type: Mapped[str] = mapped_column(exact(255))
    sha256: Mapped[str | None] = mapped_column(exact(64))
    text_sha256: Mapped[str | None] = mapped_column(exact(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    n_characters: Mapped[int | None]
    n_pages: Mapped[int | None]
    language: Mapped[str | None] = mapped_column(exact(16))
    layout: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    text_stored: Mapped[str] = mapped_column(exact(16))
    text_limit: Mapped[str | None] = mapped_column(exact(16))
    n_scans: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    series_id: Mapped[UUID] = mapped_column(row_id())
    version: Mapped[int] = mapped_column(server_default="1")
    original_sha256: Mapped[str | None] = mapped_column(exact(64))
    text: Mapped[str | None] = mapped_column(long_text(), deferred=True)
    blocks: Mapped[bytes | None] = mapped_column(long_binary(), deferred=True)


class DocumentText(Base):
    """A piece of a document's text, numbered from 1; `end` is exclusive, and the pieces have no gap.

    A text of one piece is stored in its document's row, so that a short document takes one INSERT.

    `blocks` holds three little-endian int32 for each block that starts in this piece: start and end, relative
    to `start`, and the number of its heading in the document's layout, or -1. A block may end later.
    """

    __tablename__ = "document_text"
    __table_args__ = (
        CheckConstraint("n >= 1", name="n"),
        CheckConstraint("span_start >= 0 AND span_end >= span_start", name="span"),
    )

    document_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    start: Mapped[int] = mapped_column("span_start", key="start")
    end: Mapped[int] = mapped_column("span_end", key="end")
    text: Mapped[str] = mapped_column(long_text())
    blocks: Mapped[bytes] = mapped_column(long_binary())
