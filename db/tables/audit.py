"""The audit trail."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, row_id
from db.tables.base import Base


class AuditEvent(Base):
    """What was done, by whom, to what. There is no foreign key: the trail outlives the account."""

    __tablename__ = "audit_events"
    __table_args__ = (Index("ix_audit_events_created_at_id", "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    action: Mapped[str] = mapped_column(exact(64))
    user_id: Mapped[UUID | None] = mapped_column(row_id())
    object_type: Mapped[str] = mapped_column(exact(64))
    object_id: Mapped[str | None] = mapped_column(exact(255))
    request_id: Mapped[str | None] = mapped_column(exact(64))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
