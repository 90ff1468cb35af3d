"""API keys, with which machines act for an account."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, row_id
from db.tables.base import Base


class Scope(StrEnum):
    """What an API key may do, within what its account's role allows."""

    SCAN = "scan"
    READ = "read"
    REVIEW = "review"
    DELETE = "delete"
    ADMIN = "admin"


class ApiKey(Base):
    """An API key, by the sha256 (hex) of its text; `last_used_at` is at most a minute late.

    `hint` is the end of the text. A rotated key names its successor in `replaced_by_id`, and expires soon.
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        UniqueConstraint("key_hash"),
        Index("ix_api_keys_user_id", "user_id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    key_hash: Mapped[str] = mapped_column(exact(64))
    hint: Mapped[str] = mapped_column(exact(8))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    replaced_by_id: Mapped[UUID | None] = mapped_column(row_id())
