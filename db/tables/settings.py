"""Settings that users choose for themselves."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, false
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, row_id
from db.tables.base import Base


class UserSettings(Base):
    """The settings of one user; a user without a row has the defaults.

    `thresholds` maps category keys to scores in [0, 1]. Scans are deleted `retention_days` after their
    creation, or never if null.
    """

    __tablename__ = "user_settings"
    __table_args__ = (CheckConstraint("retention_days >= 1", name="retention_days"),)

    user_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    sensitivity: Mapped[str] = mapped_column(exact(16))
    force_llm: Mapped[bool]
    thresholds: Mapped[dict[str, float]] = mapped_column(JSON)
    retention_days: Mapped[int | None]
    store_text: Mapped[str] = mapped_column(exact(16))
    store_original: Mapped[bool] = mapped_column(server_default=false())
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
