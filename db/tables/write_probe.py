"""The row that the readiness check writes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, long_binary
from db.tables.base import Base


class WriteProbe(Base):
    """One row, `id` 1; the readiness check writes it to test whether the database accepts writes.

    `payload` uses space during such a write, so that the last free bytes of a full disk do not suffice.
    """

    __tablename__ = "write_probe"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    written_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    payload: Mapped[bytes | None] = mapped_column(long_binary())
