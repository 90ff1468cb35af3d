"""Verdicts on findings, and reports of missed risks."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, UniqueConstraint, false, true
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, long_text, row_id
from db.tables.base import Base, one_of


class Verdict(StrEnum):
    """What a row of feedback states. The CHECK of feedback is built from these values."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    RELABELLED = "relabelled"
    MISSED = "missed"
    """A missed risk."""
    NO_RISK = "no_risk"
    """A reviewer was asked about a sentence without a finding, and it states no risk.

    This and `missed` are on a sentence, the other verdicts on a finding.
    """
    WITHDRAWN = "withdrawn"
    """Takes back the target's earlier rows."""


class Feedback(Base):
    """A user's verdict on a finding, or report of a missed risk; rows never change.

    A changed verdict is a new row with the next `revision`; the newest counts. If two concurrent
    writers insert the same revision, the unique constraint refuses the second. `n` is the finding's number;
    for a missed risk it is 0, and `context` holds the sentence. The span is the finding's, or (0, 0) if it
    has none. `risk_types` are the types by this verdict; `role` is the author's role at that time.
    `verified` is true if the service saw the sentence in the document. There is no foreign key to the
    author: a verdict outlives the account, as the audit trail does.

    A row that was carried over from an earlier scan of the document has the row there as `origin_id`, and as
    `origin_scan_id` the scan in which the user gave it; either may be deleted since. The user's own verdict
    on top of a carried one keeps its `origin_id` alone. Of a row and its origin one counts in exports and
    statistics: this one if `counts`, else the origin as long as it is stored.
    """

    __tablename__ = "feedback"
    __table_args__ = (
        CheckConstraint("n >= 0", name="n"),
        CheckConstraint(
            "span_start >= 0 AND (span_end > span_start OR (n > 0 AND span_start = 0 AND span_end = 0))",
            name="span",
        ),
        CheckConstraint("revision >= 1", name="revision"),
        CheckConstraint(one_of("verdict", Verdict), name="verdict"),
        UniqueConstraint("scan_id", "user_id", "n", "span_start", "span_end", "revision"),
        Index("ix_feedback_scan_id_created_at_id", "scan_id", "created_at", "id"),
        Index("ix_feedback_user_id_id", "user_id", "id"),
        Index("ix_feedback_origin_id", "origin_id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    scan_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("scans.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(row_id())
    role: Mapped[str] = mapped_column(exact(16))
    n: Mapped[int]
    start: Mapped[int] = mapped_column("span_start")
    end: Mapped[int] = mapped_column("span_end")
    revision: Mapped[int]
    verdict: Mapped[str] = mapped_column(exact(16))
    risk_types: Mapped[list[str]] = mapped_column(JSON)
    context: Mapped[str | None] = mapped_column(long_text())
    comment: Mapped[str | None] = mapped_column(long_text())
    verified: Mapped[bool] = mapped_column(server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    origin_id: Mapped[UUID | None] = mapped_column(row_id())
    origin_scan_id: Mapped[UUID | None] = mapped_column(row_id())
    counts: Mapped[bool] = mapped_column(server_default=true())
