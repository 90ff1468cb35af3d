"""Rows that show whether a transaction was committed, if its COMMIT got no answer."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, row_id
from db.tables.base import Base


class TransactionMarker(Base):
    """A row written by each transaction that records no audit event; deleted after an hour."""

    __tablename__ = "transaction_markers"
    __table_args__ = (Index("ix_transaction_markers_created_at", "created_at"),)

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
