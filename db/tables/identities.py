"""Identities of a single sign-on provider, and their accounts."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, row_id
from db.tables.base import Base


class Identity(Base):
    """A person at a provider, by issuer and subject; an account may have several."""

    __tablename__ = "identities"
    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        Index("ix_identities_user_id", "user_id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    issuer: Mapped[str] = mapped_column(exact(255))
    subject: Mapped[str] = mapped_column(exact(255))
    user_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
