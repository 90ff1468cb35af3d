"""Exports of stored data: who took what, and whether it arrived whole."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, row_id
from db.tables.base import Base


class ReportLog(Base):
    """One export. There is no foreign key: the row outlives the account.

    `operator` is set if a command exported. `scope` has the filters. `outcome` is running, finished or
    cut_off; rows and bytes are those that were sent.
    """

    __tablename__ = "report_logs"
    __table_args__ = (Index("ix_report_logs_created_at_id", "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    user_id: Mapped[UUID | None] = mapped_column(row_id())
    operator: Mapped[str | None] = mapped_column(exact(255))
    kind: Mapped[str] = mapped_column(exact(32))
    format: Mapped[str] = mapped_column(exact(16))
    scope: Mapped[dict[str, Any]] = mapped_column(JSON)
    n_rows: Mapped[int] = mapped_column(BigInteger)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    request_id: Mapped[str | None] = mapped_column(exact(64))
    outcome: Mapped[str] = mapped_column(exact(16))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
