"""What each process counted of the scans of a model, for the drift monitor."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, row_id
from db.tables.base import Base


class DriftCounts(Base):
    """Histograms of the scans by one model ("name/version") in one hour (UTC), as one process counted them.

    Only that process writes the row, so processes never wait for each other. Readers add the rows up.
    """

    __tablename__ = "drift_counts"
    __table_args__ = (Index("ix_drift_counts_model_hour", "model", "hour"),)

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    model: Mapped[str] = mapped_column(exact(191))
    hour: Mapped[datetime] = mapped_column(UtcDateTime)
    n_sentences: Mapped[int] = mapped_column(BigInteger)
    counts: Mapped[dict[str, list[int]]] = mapped_column(JSON)
