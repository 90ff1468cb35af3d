"""Sentences without a finding that were drawn at random, for reviewers to judge."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, Double, ForeignKey, Index, false
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import long_text, row_id
from db.tables.base import Base


class SampledSentence(Base):
    """A sentence in which a scan found nothing, numbered from 1 in its scan; `end` is exclusive.

    `draw`, in [0, 1), is a hash of document and sentence: reviewers judge the lowest first, so those judged
    are a random sample at any time. `answered` says whether a reviewer answered when asked for it; the
    answer is feedback on the span. A report of the same sentence by somebody who came across it does not
    count, since only risks are reported that way.
    """

    __tablename__ = "sampled_sentences"
    __table_args__ = (
        CheckConstraint("n >= 1", name="n"),
        CheckConstraint("span_start >= 0 AND span_end > span_start", name="span"),
        CheckConstraint("draw >= 0 AND draw < 1", name="draw"),
        Index("ix_sampled_sentences_answered_draw", "answered", "draw"),
    )

    scan_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("scans.id", ondelete="CASCADE"), primary_key=True
    )
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    start: Mapped[int] = mapped_column("span_start", key="start")
    end: Mapped[int] = mapped_column("span_end", key="end")
    context: Mapped[str] = mapped_column(long_text())
    draw: Mapped[float] = mapped_column(Double)
    answered: Mapped[bool] = mapped_column(server_default=false())
