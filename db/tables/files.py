"""Work sessions, and the files in them. The bytes are on disk, under the SHA-256 of their content."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, row_id
from db.tables.base import Base


class WorkSession(Base):
    """A named collection of one user's files."""

    __tablename__ = "work_sessions"
    __table_args__ = (
        Index("ix_work_sessions_user_id", "user_id"),
        Index("ix_work_sessions_user_id_created_at_id", "user_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(exact(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class File(Base):
    """A file in a work session; the user is the session's.

    `name` and `media_type` are the client's and never reach the disk. Several rows of one user may have the
    same `sha256`; they share the stored bytes. `pages` is null until a scan has counted them, and for formats
    without pages.
    """

    __tablename__ = "files"
    __table_args__ = (
        CheckConstraint("size_bytes >= 0", name="size_bytes"),
        CheckConstraint("pages >= 0", name="pages"),
        Index("ix_files_user_id", "user_id"),
        Index("ix_files_user_id_sha256", "user_id", "sha256"),
        Index("ix_files_work_session_id", "work_session_id"),
        Index(
            "ix_files_work_session_id_created_at_id",
            "work_session_id",
            "created_at",
            "id",
        ),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("users.id", ondelete="CASCADE"))
    work_session_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("work_sessions.id", ondelete="CASCADE")
    )
    name: Mapped[str] = mapped_column(exact(255))
    media_type: Mapped[str] = mapped_column(exact(127))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(exact(64))
    pages: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
