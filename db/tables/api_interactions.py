"""Outgoing calls: server, outcome, duration and sizes, never content."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Double, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, row_id
from db.tables.base import Base, one_of


class InteractionKind(StrEnum):
    """What an outgoing call was for. The CHECK of api_interactions is built from these values."""

    LLM = "llm"
    AI_SERVICE = "ai_service"
    WEBHOOK = "webhook"
    INDEXER = "indexer"
    SSO = "sso"


class ApiInteraction(Base):
    """One outgoing call. There is no foreign key: the row outlives its scan.

    `status` is the HTTP status, null without an answer; `error_code` is null if the call succeeded. Sizes are
    those of the bodies. The scan of `scan_id` was stored only if it succeeded.
    """

    __tablename__ = "api_interactions"
    __table_args__ = (
        CheckConstraint(one_of("kind", InteractionKind), name="kind"),
        Index("ix_api_interactions_created_at_id", "created_at", "id"),
        Index("ix_api_interactions_scan_id", "scan_id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(exact(16))
    host: Mapped[str] = mapped_column(exact(255))
    status: Mapped[int | None]
    error_code: Mapped[str | None] = mapped_column(exact(64))
    duration_ms: Mapped[float] = mapped_column(Double)
    sent_bytes: Mapped[int] = mapped_column(BigInteger)
    received_bytes: Mapped[int] = mapped_column(BigInteger)
    prompt_tokens: Mapped[int | None] = mapped_column(BigInteger)
    completion_tokens: Mapped[int | None] = mapped_column(BigInteger)
    scan_id: Mapped[UUID | None] = mapped_column(row_id())
    request_id: Mapped[str | None] = mapped_column(exact(64))
