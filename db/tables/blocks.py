"""Networks whose requests are refused."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, long_text, row_id
from db.tables.base import Base


class Block(Base):
    """A network in CIDR notation, IPv4 or IPv6; without `expires_at` it stays until it is deleted.

    `created_by` is the account, or null for an operator. It is no foreign key: the block outlives the
    account.
    """

    __tablename__ = "blocks"
    __table_args__ = (Index("ix_blocks_created_at_id", "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    network: Mapped[str] = mapped_column(exact(49))
    reason: Mapped[str] = mapped_column(long_text())
    created_by: Mapped[UUID | None] = mapped_column(row_id())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
