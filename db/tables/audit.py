"""The audit trail and its seals."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, row_id
from db.tables.base import Base

SALT = "salt"
"""The field of `personal` that keeps its digest from being guessed."""


class AuditEvent(Base):
    """What was done, by whom, to what. There is no foreign key: the trail outlives the account.

    Sealing gives an event `n`, which counts the sealed events from 1, and `digest`, the sha256 (hex) of the
    event and of the digest before. Both are null until then.

    `personal` has the client's address and a random salt. The chain covers `personal_digest`, its sha256
    (hex): so the deletion of an account may blank `personal`. Nothing else of a row ever changes.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_created_at_id", "created_at", "id"),
        Index("ix_audit_events_user_id_created_at_id", "user_id", "created_at", "id"),
        Index("ix_audit_events_object_id_created_at_id", "object_id", "created_at", "id"),
        Index("ix_audit_events_n", "n"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    action: Mapped[str] = mapped_column(exact(64))
    user_id: Mapped[UUID | None] = mapped_column(row_id())
    object_type: Mapped[str] = mapped_column(exact(64))
    object_id: Mapped[str | None] = mapped_column(exact(255))
    request_id: Mapped[str | None] = mapped_column(exact(64))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    personal: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    personal_digest: Mapped[str | None] = mapped_column(exact(64))
    n: Mapped[int | None] = mapped_column(BigInteger)
    digest: Mapped[str | None] = mapped_column(exact(64))

    @property
    def full_detail(self) -> dict[str, Any]:
        """The detail with the personal fields, as far as these are not blanked."""
        shown = {name: value for name, value in (self.personal or {}).items() if name != SALT}
        return {**self.detail, **shown}


class AuditSeal(Base):
    """The state of the sealed trail at one time: `n` and the digest of its last event.

    `number` counts the seals from 1, so that of two processes that seal at once one is refused.
    """

    __tablename__ = "audit_seals"
    __table_args__ = (Index("ix_audit_seals_last_n", "last_n"),)

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    last_n: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(exact(64))
    sealed_at: Mapped[datetime] = mapped_column(UtcDateTime)
