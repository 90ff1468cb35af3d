"""Webhooks: addresses that receive events, and every delivery to them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, long_text, row_id
from db.tables.base import Base, one_of


class DeliveryState(StrEnum):
    """How far the delivery of an event is. The CHECK of webhook_deliveries is built from these values."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class Webhook(Base):
    """An address of a user that receives events.

    `secret_number` counts the secrets that it had; until `old_secret_until` the one before signs too.
    """

    __tablename__ = "webhooks"
    __table_args__ = (Index("ix_webhooks_user_id", "user_id"),)

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    url: Mapped[str] = mapped_column(long_text())
    is_enabled: Mapped[bool]
    secret_number: Mapped[int]
    old_secret_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WebhookDelivery(Base):
    """An event for one webhook; `payload` is the JSON that is signed and sent.

    A waiting delivery is sent at `next_attempt_at`, which lies ahead while a sender sends it. `status` is the
    HTTP status of the last answer, `error` says why the last attempt failed.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint(one_of("state", DeliveryState), name="state"),
        Index("ix_webhook_deliveries_webhook_id_created_at_id", "webhook_id", "created_at", "id"),
        Index("ix_webhook_deliveries_state_next_attempt_at", "state", "next_attempt_at"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    webhook_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("webhooks.id", ondelete="CASCADE")
    )
    event: Mapped[str] = mapped_column(exact(64))
    payload: Mapped[str] = mapped_column(long_text())
    state: Mapped[str] = mapped_column(exact(16))
    n_attempts: Mapped[int]
    next_attempt_at: Mapped[datetime] = mapped_column(UtcDateTime)
    status: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(exact(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
