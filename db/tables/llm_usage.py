"""Tokens that each user's scans used of the LLM."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlalchemy import BigInteger, Date, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import row_id
from db.tables.base import Base


class LlmUsage(Base):
    """Tokens of prompts and answers of one user on one day (UTC), reservations included."""

    __tablename__ = "llm_usage"

    user_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    tokens: Mapped[int] = mapped_column(BigInteger)
